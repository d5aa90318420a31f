/**
 * How a daemon starts beside others, and that it can be stopped however it was started: as the
 * helpers do that projects start agents with in their own tests.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { agentWords, askPort, program, startDaemon } from '../clients/daemon.ts'
import { freePort, launch, tempFolder, until } from '../clients/process.ts'

/** What those helpers wait for an answer at most, and then give up. */
const PATIENCE_MS = 20_000

t.test('four agents that start at once all have a leader soon', async t => {
  const agents = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const [http, dns] = [await freePort(), await freePort()]
      const words = agentWords(tempFolder(t), {
        words: [`-http-port=${http}`, `-dns-port=${dns}`],
      })
      return { http, words }
    }),
  )
  const startedMs = performance.now()
  await Promise.all(
    agents.map(async ({ http, words }) => {
      const agent = launch(t, program, words)
      await until(
        'it has a leader',
        async () => {
          if (!agent.isRunning()) throw new Error(agent.stderr())
          const { text } = await askPort(http, 'GET', '/v1/status/leader')
          return /^"\d+\.\d+\.\d+\.\d+:\d+"/.test(text)
        },
        PATIENCE_MS,
      )
    }),
  )
  t.comment(`all four after ${Math.round(performance.now() - startedMs)} ms`)
})

t.test('SIGINT ends it, also where whoever started it ignores that signal', async t => {
  const words = agentWords(tempFolder(t)).map(word => `'${word}'`)
  // A shell hands the signals that it ignores on to what it starts.
  const script = `trap '' INT; exec '${program}' ${words.join(' ')}`
  const daemon = launch(t, '/bin/sh', ['-c', script])
  await until('it is ready', () => daemon.stdout().includes('\nReady.\n') || !daemon.isRunning())
  daemon.signal('SIGINT')
  t.equal(await daemon.ended, 0, daemon.stderr())
  t.match(daemon.stderr(), 'why=SIGINT')
})

t.test('SIGHUP before anything changed changes nothing', async t => {
  const daemon = await startDaemon(t)
  daemon.signal('SIGHUP')
  await until('it was reloaded', () => daemon.stderr().includes('configuration reloaded'))
  t.match(daemon.stderr(), 'changed=nothing')
  t.equal((await daemon.ask('GET', '/v1/status/leader')).status, 200)
  t.equal(await daemon.stop(), 0)
})

t.test('the process id is in the file, and the file goes with it', async t => {
  const pidFile = `${tempFolder(t)}/run/pid`
  const daemon = await startDaemon(t, { words: [`-pid-file=${pidFile}`] })
  t.equal(readFileSync(pidFile, 'latin1').trim(), String(daemon.pid))
  await daemon.stop()
  t.throws(() => readFileSync(pidFile), { code: 'ENOENT' })
})
