/**
 * The limit of checks: node:http making the same requests at the same pace, and nothing else.
 *
 *     bare-checks.ts <port> <count> <interval in ms>
 */
import { Agent, request } from 'node:http'
import { answerParent } from './answers.ts'

const [port = 0, count = 0, intervalMs = 0] = process.argv.slice(2).map(Number)
const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY })
const headers = {
  'user-agent': 'Consul Health Check',
  accept: 'text/plain, text/*, */*',
  connection: 'close',
}

function ask(id: number): void {
  const options = { host: '127.0.0.1', port, path: `/${id}`, agent, headers }
  request(options, response => {
    response.resume()
  }).end()
}

for (let id = 0; id < count; id++) {
  setTimeout(() => setInterval(ask, intervalMs, id), (id / count) * intervalMs)
}
answerParent({})
process.stdout.write('Ready.\n')
