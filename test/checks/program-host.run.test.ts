import { readdirSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { ProgramEnd } from '../../src/checks/program.ts'
import { ProgramHost } from '../../src/checks/program-host.run.ts'
import { until } from './support.ts'

const environment = { PATH: process.env.PATH ?? '' }

function open(t: Test): ProgramHost {
  const host = new ProgramHost(environment)
  t.teardown(() => host.close())
  return host
}

const run = (host: ProgramHost, ...words: string[]): Promise<ProgramEnd> =>
  new Promise(resolve => host.start({ words, outputMaxSizeBytes: 100 }, resolve))

/** The living processes whose parent this is. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && isChild(name, parent))
    .map(Number)
}

function isChild(pid: string, parent: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state, itsParent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state !== 'Z' && Number(itsParent) === parent
  } catch {
    return false
  }
}

t.test('programs run elsewhere, with nothing of our environment', async t => {
  const host = open(t)
  process.env.CONSUL_HTTP_TOKEN = 'a-secret'
  t.teardown(() => delete process.env.CONSUL_HTTP_TOKEN)
  t.same(childrenOf(process.pid), [], 'nothing is started before it is needed')
  t.match(await run(host, 'sh', '-c', 'echo well; exit 1'), {
    what: 'exit',
    code: 1,
    output: { text: 'well\n', seenBytes: 5, keptBytes: 100 },
  })
  const [child = 0, ...more] = childrenOf(process.pid)
  t.same(more, [])
  const seen = await run(host, 'sh', '-c', 'env; echo $PPID')
  if (seen.what !== 'exit') throw new Error(seen.what)
  t.notMatch(seen.output.text, /a-secret/)
  t.match(seen.output.text, new RegExp(`^${child}$`, 'm'), 'the child started it')
  t.notMatch(readFileSync(`/proc/${child}/environ`, 'utf8'), /a-secret|CONSUL/)
  t.match(await run(host, 'no-such-program'), { what: 'fault', text: /executable file not found/ })
  t.match(await run(host, 'echo', 'a\0b'), { what: 'fault', text: /null bytes/ })
})

t.test('many at a time, each with its own end', async t => {
  const host = open(t)
  const ends = await Promise.all(
    Array.from({ length: 50 }, (_, id) => run(host, 'sh', '-c', `echo ${id}; exit ${id}`)),
  )
  t.same(
    ends.map(end => end.what === 'exit' && [end.code, end.output.text]),
    ends.map((_, id) => [id, `${id}\n`]),
  )
})

t.test('the time is over, or it is stopped', async t => {
  const host = open(t)
  const request = { words: ['sh', '-c', 'echo so far; sleep 60'], outputMaxSizeBytes: 100 }
  const ends: ProgramEnd[] = []
  const late = host.start(request, end => ends.push(end))
  const stopped = host.start(request, () => t.fail('it was stopped'))
  await until(() => childrenOf(childrenOf(process.pid)[0] ?? 0).length === 2, 'both run')
  stopped.end('stopped')
  late.end('timeout')
  await until(() => ends.length === 1, 'over')
  t.equal(ends[0]?.what, 'timeout')
  late.end('timeout')
  const [child = 0] = childrenOf(process.pid)
  await until(() => childrenOf(child).length === 0, 'nothing runs')
  t.match(await run(host, 'true'), { what: 'exit', code: 0 })
})

t.test('a child that is gone: its runs say so, and the next one starts another', async t => {
  const host = open(t)
  const hanging = run(host, 'sleep', '60')
  await until(() => childrenOf(childrenOf(process.pid)[0] ?? 0).length === 1, 'it runs')
  const [child = 0] = childrenOf(process.pid)
  const [program = 0] = childrenOf(child)
  process.kill(child, 'SIGKILL')
  t.match(await hanging, { what: 'fault', text: /process that runs programs of checks ended$/ })
  t.match(await run(host, 'true'), { what: 'exit', code: 0 })
  t.not(childrenOf(process.pid)[0], child)
  // Nobody was left who could have ended it.
  process.kill(program, 'SIGKILL')
})

t.test('closing ends all that runs, and the child; signals do not', async t => {
  const host = open(t)
  host.start({ words: ['sleep', '60'], outputMaxSizeBytes: 1 }, () => t.fail('it was closed'))
  await until(() => childrenOf(childrenOf(process.pid)[0] ?? 0).length === 1, 'it runs')
  const [child = 0] = childrenOf(process.pid)
  const [program = 0] = childrenOf(child)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(child, signal)
  t.match(await run(host, 'true'), { what: 'exit', code: 0 })
  await host.close()
  await until(() => !isAlive(child) && !isAlive(program), 'gone')
  await host.close()
})

function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
