/**
 * What a TLS connection to a listener of ours comes to: an answer, or nothing.
 */
import { type ConnectionOptions, connect } from 'node:tls'

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

/** `served`, or why not: `refused` by the other side, or what the client has against it. */
export type Ending = 'served' | 'refused' | `client: ${string}`

/** Connects, sends one request, and waits for the end of it. */
export function endingOf(options: ConnectionOptions): Promise<Ending> {
  return new Promise(resolve => {
    const socket = connect(options)
    let text = ''
    const settle = (ending: Ending): void => {
      socket.destroy()
      resolve(text.includes('200 OK') ? 'served' : ending)
    }
    socket.once('secureConnect', () => socket.write(REQUEST))
    socket.on('data', data => {
      text += String(data)
    })
    socket.on('error', (error: { code?: string }) => {
      const code = error.code ?? 'failed'
      settle(/^(ECONNRESET|EPIPE|ERR_SSL_.*ALERT)/.test(code) ? 'refused' : `client: ${code}`)
    })
    socket.on('close', () => settle('refused'))
  })
}
