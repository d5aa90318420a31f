/** Whom entries are written for: the order of tokens, and what is told of those held back. */
import t from 'tap'
import { openTokens, Publishers, type TokenKind } from '../../src/agent/publishers.ts'
import { Refusal } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { plainSealer } from '../../src/base/sealer.ts'
import { everybody, type Who } from '../../src/base/who.ts'
import { viewOf } from '../registry/rules.ts'

const named = (accessor: string): Who => ({ ...everybody, accessor })

function start() {
  const warnings: string[] = []
  const log = {
    ...silentLog,
    warn: (text: string, fields?: object) => warnings.push(`${text} ${JSON.stringify(fields)}`),
  }
  const tokens = {
    whoOf: (kind: TokenKind) => named(kind),
    authenticate: (token: string) => named(`by ${token}`),
  }
  return { warnings, publishers: new Publishers('n1', { tokens, sealer: plainSealer, log }) }
}

t.test('the token that was left, else one of the agent', async t => {
  const { publishers } = start()
  t.match(publishers.ofToken('secret', false), { accessor: 'by secret' })
  t.match(publishers.ofToken('', false), { accessor: 'default' })
  t.match(publishers.ofToken('', true), { accessor: 'config_file_service_registration' })
  t.match(publishers.of(viewOf(), { unknownService: 'x' }), { accessor: 'agent' })
  t.match(publishers.of(viewOf(), { unknownCheck: 'x' }), { accessor: 'agent' })
  t.match(publishers.of(viewOf(), { service: 'none' }), { accessor: 'default' })
  t.match(publishers.of(viewOf(), { check: 'none' }), { accessor: 'default' })
  t.equal(openTokens.whoOf('agent'), everybody)
  t.equal(openTokens.authenticate('any'), everybody)
})

t.test('tokens are sealed once', async t => {
  let seals = 0
  const sealer = {
    seal: (text: string) => `${seals++}:${text}`,
    open: (sealed: string) => sealed.slice(2),
  }
  const publishers = new Publishers('n1', { tokens: openTokens, sealer, log: silentLog })
  t.equal(publishers.sealed('', 'anything'), '')
  t.equal(publishers.sealed('a', undefined), '0:a')
  t.equal(publishers.sealed('a', '0:a'), '0:a')
  t.equal(publishers.sealed('b', '0:a'), '1:b')
})

t.test('what is held back is told when its reason changes', async t => {
  const { publishers, warnings } = start()
  const one = { service: 'web' }
  publishers.heldBack(one, new Refusal(403, 'a'))
  publishers.heldBack(one, new Refusal(403, 'a'))
  publishers.heldBack({ check: 'web' }, new Refusal(403, 'a'))
  publishers.heldBack(one, new Refusal(403, 'b'))
  t.equal(warnings.length, 3)
  publishers.settled(one)
  publishers.heldBack(one, new Refusal(403, 'b'))
  t.equal(warnings.length, 4)
})
