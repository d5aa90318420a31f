import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runScript } from '../../src/checks/script.run.ts'
import { freshFolder } from '../fake/folder.ts'
import { once, until } from './support.ts'

const shell = (text: string): { scriptArgs: string[] } => ({ scriptArgs: ['sh', '-c', text] })

/** Whether a process still runs; a zombie does not. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

t.test('exit codes and what both streams said', async t => {
  t.same(await once(runScript, shell('echo out; echo err >&2')), {
    status: 'passing',
    output: 'out\nerr\n',
  })
  t.same(await once(runScript, shell('echo careful; exit 1')), {
    status: 'warning',
    output: 'careful\n',
  })
  t.same(await once(runScript, shell('echo gone; exit 3')), {
    status: 'critical',
    output: 'gone\n',
  })
  t.match(await once(runScript, shell('kill -TERM $$')), { status: 'critical', output: '' })
  const long = await once(runScript, shell('yes | head -c 10000; echo end'))
  t.match(long, {
    status: 'passing',
    output: /^Captured 4096 of 10004 bytes\n\.\.\.\n(y|\n)+end\n$/,
  })
  const short = await once(runScript, shell('echo 1234567'), { outputMaxSizeBytes: 4 })
  t.equal(short.output, 'Captured 4 of 8 bytes\n...\n567\n')
})

t.test('words are words: no shell reads them', async t => {
  const folder = freshFolder(t)
  const trap = join(folder, 'trap')
  const words = ['echo', `$(touch ${trap})`, `; touch ${trap}`, '*', '`id`', '$HOME']
  const { output } = await once(runScript, { scriptArgs: words })
  t.equal(output, `${words.slice(1).join(' ')}\n`)
  t.notOk(existsSync(trap))
})

t.test('programs that cannot be started', async t => {
  const fault = async (...scriptArgs: string[]): Promise<string> => {
    const { status, output } = await once(runScript, { scriptArgs })
    t.equal(status, 'critical')
    return output
  }
  t.equal(
    await fault('no-such-program'),
    'exec: "no-such-program": executable file not found in $PATH',
  )
  t.equal(await fault('/no/such'), 'fork/exec /no/such: no such file or directory')
  const plain = join(freshFolder(t), 'plain')
  writeFileSync(plain, 'text')
  t.equal(await fault(plain), `fork/exec ${plain}: permission denied`)
  t.match(await fault('echo', 'a\0b'), /null bytes/)
})

t.test('no time left: the whole group is killed', async t => {
  const folder = freshFolder(t)
  const text = `sleep 60 & echo $! > ${folder}/child; echo started; wait`
  const isStarted = (): boolean =>
    existsSync(join(folder, 'child')) && readFileSync(join(folder, 'child'), 'utf8') !== ''
  const result = await once(runScript, shell(text), {
    timeoutMs: 1_500,
    meanwhile: run =>
      void until(isStarted, 'started').then(() => setTimeout(() => run.end('timeout'), 50)),
  })
  t.same(result, { status: 'critical', output: 'Timed out (1.5s) running check\n\nstarted\n' })
  const child = Number(readFileSync(join(folder, 'child'), 'utf8'))
  await until(() => !isAlive(child), 'killed')
})

t.test('what a program leaves behind goes with it', async t => {
  const folder = freshFolder(t)
  const text = `sleep 60 > /dev/null 2>&1 & echo $! > ${folder}/child; exit 0`
  t.match(await once(runScript, shell(text)), { status: 'passing' })
  const child = Number(readFileSync(join(folder, 'child'), 'utf8'))
  await until(() => !isAlive(child), 'killed')
})

t.test('who holds the output open does not decide: the exit code is known', async t => {
  const held = shell('setsid sleep 60 & echo $! > /dev/null; echo well; exit 1')
  const before = new Set(readdirSync('/proc'))
  const result = await once(runScript, held, {
    meanwhile: run => setTimeout(() => run.end('timeout'), 500),
  })
  t.same(result, { status: 'warning', output: 'well\n' })
  // It left our group by itself, so it is ours to end here.
  for (const name of readdirSync('/proc').filter(one => /^\d+$/.test(one) && !before.has(one))) {
    const words = existsSync(`/proc/${name}/cmdline`)
      ? readFileSync(`/proc/${name}/cmdline`, 'utf8')
      : ''
    if (words === 'sleep\x0060\0') process.kill(Number(name))
  }
})
