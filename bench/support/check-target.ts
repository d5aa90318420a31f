/**
 * Who is asked by checks: a bare HTTP server that counts.
 *
 *     check-target.ts <port>
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { answerParent } from './answers.ts'

const [port = '0'] = process.argv.slice(2)
let asked = 0
const server = createServer((request, response) => {
  asked++
  request.resume()
  response.end('well')
})
server.maxConnections = 100_000
await once(server.listen(Number(port), '127.0.0.1', 65_535), 'listening')

answerParent({
  /** How many requests came since the last time. */
  asked(): number {
    const count = asked
    asked = 0
    return count
  },
})
process.stdout.write('Ready.\n')
