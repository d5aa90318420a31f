/**
 * The verb `monitor`: the log of an agent as it is written.
 *
 * Owns how it ends: 0 when we are told to stop, 1 when the agent ended it.
 */
import { endSignals } from './child.ts'
import { asking, clientFlags, unexpected } from './client.ts'
import { collect } from './exchange.ts'

export const monitor = asking('Error starting monitor', {
  usage: '[options]',
  flags: [
    { name: 'log-level', kind: 'text', doc: 'from this level on: trace, debug, info, warn, err' },
    { name: 'log-json', kind: 'switch', doc: 'as JSON, a line each' },
    ...clientFlags,
  ],
  examples: ['', '-log-level=debug -log-json'],
  async run({ flags, io }, client) {
    const stop = new AbortController()
    for (const name of endSignals) io.onSignal(name, () => stop.abort())
    const query = {
      loglevel: flags.text('log-level') || undefined,
      logjson: flags.isOn('log-json') ? 'true' : undefined,
    }
    try {
      const options = { signal: stop.signal }
      const answer = await client.open('GET', '/v1/agent/monitor', query, options)
      if (answer.status !== 200) {
        throw unexpected({ status: answer.status, body: await collect(answer.body) })
      }
      for await (const bytes of answer.body) io.write(bytes)
    } catch (error) {
      if (stop.signal.aborted) return 0
      throw error
    }
    if (stop.signal.aborted) return 0
    io.printError('')
    io.printError('Remote side ended the monitor! This usually means that the')
    io.printError('remote side has exited or crashed.')
    return 1
  },
})
