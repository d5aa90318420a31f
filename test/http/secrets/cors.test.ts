/** Pages of other origins: who may ask, as `sys/config/cors` says. */

import type { IncomingMessage } from 'node:http'
import tap from 'tap'
import { judgeOrigin } from '../../../src/http/secrets/cors.ts'

const cors = { origins: ['https://web.example'], headers: ['X-Vault-Token'] }

const message = (method: string, headers: Record<string, string>): IncomingMessage =>
  ({ method, headers }) as unknown as IncomingMessage

const preflight = (origin: string, wanted: string) =>
  message('OPTIONS', { origin, 'access-control-request-method': wanted })

tap.test('a page of an origin that may is answered with its name', async t => {
  t.strictSame(judgeOrigin(message('GET', { origin: 'https://web.example' }), cors), {
    headers: { 'Access-Control-Allow-Origin': 'https://web.example', Vary: 'Origin' },
  })
  const any = judgeOrigin(message('GET', { origin: 'https://x' }), { ...cors, origins: ['*'] })
  t.equal(any.headers['Access-Control-Allow-Origin'], 'https://x')
  t.strictSame(judgeOrigin(message('GET', {}), cors), { headers: {} }, 'no page asks')
})

tap.test('a browser asks first', async t => {
  t.match(judgeOrigin(preflight('https://web.example', 'LIST'), cors), {
    status: 204,
    headers: {
      'Access-Control-Allow-Origin': 'https://web.example',
      'Access-Control-Allow-Methods': 'DELETE,GET,OPTIONS,POST,PUT,LIST,SCAN',
      'Access-Control-Allow-Headers': 'X-Vault-Token',
      'Access-Control-Max-Age': '300',
      Vary: 'Origin',
    },
  })
  t.match(judgeOrigin(preflight('https://web.example', 'PATCH'), cors), { status: 405 })
})

tap.test('others are refused', async t => {
  const refused = { status: 403, text: 'origin not allowed' }
  t.match(judgeOrigin(message('GET', { origin: 'https://evil.example' }), cors), refused)
  t.match(judgeOrigin(preflight('https://evil.example', 'GET'), cors), refused)
  t.match(judgeOrigin(preflight('https://web.example', 'GET'), undefined), { status: 405 })
  t.strictSame(judgeOrigin(message('GET', { origin: 'https://x' }), undefined), { headers: {} })
})
