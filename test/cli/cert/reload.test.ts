/** The program that is told: no shell, no secrets, bounds on its time and its words. */
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { runReload } from '../../../src/cli/cert/reload.ts'
import { until } from '../../clients/process.ts'
import { fakeIo } from '../support.ts'

const run = (words: string[], environment: Record<string, string> = {}, timeoutMs = 20_000) =>
  runReload(
    fakeIo({ PATH: process.env.PATH ?? '', ...environment }).io,
    words,
    { ADDED: 'here' },
    timeoutMs,
  )
const script = (code: string): string[] => [process.execPath, '-e', code]

t.test('its words are its words, and its end tells', async t => {
  t.equal(await run(['true']), undefined)
  t.equal(await run(['false']), 'exit status 1')
  t.equal(
    await run(['sh', '-c', 'echo first; echo second >&2; exit 3']),
    'exit status 3: first; second',
  )
  t.match(await run(['/no/such/program']), 'ENOENT')
  t.equal(
    await run(script('process.exit(process.argv[1] === "$HOME; x" ? 0 : 1)').concat('$HOME; x')),
    undefined,
  )
  t.match(await run(script('process.kill(process.pid, "SIGKILL")')), 'signal: kill')
})

t.test('it gets our environment without tokens', async t => {
  const environment = {
    ...{ VAULT_TOKEN: 'a', BAO_TOKEN: 'b', CONSUL_HTTP_TOKEN: 'c', GATEHOUSE_JOIN_TOKEN: 'd' },
    ...{ VAULT_ADDR: 'http://x', MINE: 'e', VAULT_HEADERS: '{}' },
  }
  const said = await run(
    script('console.log(Object.keys(process.env).sort().join()); process.exit(1)'),
    environment,
  )
  t.equal(said, 'exit status 1: ADDED,MINE,PATH,VAULT_ADDR')
})

t.test('what it says is kept to its end', async t => {
  const said = await run(
    script('process.stdout.write("x".repeat(1e6) + "end"); process.exitCode = 1'),
  )
  t.match(said, /x{100}end$/)
  t.ok((said ?? '').length <= limits.certReloadKeptSizeBytes + 30)
})

t.test('one that does not end is ended', async t => {
  const said = await run(['sleep', '1000'], {}, 50)
  t.equal(said, 'it took longer than 50 ms')
})

t.test('nothing is left to wait for once it ended', async t => {
  const { io } = fakeIo({ PATH: process.env.PATH ?? '' })
  let timers = 0
  const after: typeof io.clock.after = (delayMs, go) => {
    const timer = io.clock.after(delayMs, go)
    timers++
    const clear = (): void => {
      timers--
      timer.clear()
    }
    return { clear }
  }
  t.equal(
    await runReload({ ...io, clock: { ...io.clock, after } }, ['true'], {}, 60_000),
    undefined,
  )
  await until('its timer is gone', () => timers === 0)
})
