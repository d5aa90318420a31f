/** Templates of claims: what words stand for, and that values stay values. */
import assert from 'node:assert/strict'
import tap from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { fillClaims, readTemplate } from '../../../src/secrets/oidc/template.ts'

const NOW_MS = 1_700_000_000_500
const identity = {
  ...{ id: 'e1', name: 'ann', metadata: { team: 'web', '': 'empty', 'a.b': 'dots' } },
  aliases: [
    {
      ...{ id: 'a1', name: 'ann@x', mountAccessor: 'auth_x_1' },
      ...{ metadata: { role: 'r' }, customMetadata: { c: 'd' } },
    },
  ],
  groups: [
    { id: 'g1', name: 'ops', namespace: '', metadata: { level: '7' } },
    { id: 'g2', name: 'all', namespace: '', metadata: {} },
  ],
}
const fill = (template: string) => fillClaims(template, { identity, nowMs: NOW_MS })

tap.test('what words stand for', t => {
  const words: Record<string, unknown> = {
    'identity.entity.id': 'e1',
    'identity.entity.name': 'ann',
    'identity.entity.metadata': identity.metadata,
    'identity.entity.metadata.team': 'web',
    'identity.entity.metadata.a.b': 'dots',
    'identity.entity.metadata.none': '',
    'identity.entity.metadata.toString': '',
    'identity.entity.groups.ids': ['g1', 'g2'],
    'identity.entity.groups.names': ['ops', 'all'],
    'identity.entity.aliases.auth_x_1.id': 'a1',
    'identity.entity.aliases.auth_x_1.name': 'ann@x',
    'identity.entity.aliases.auth_x_1.metadata': { role: 'r' },
    'identity.entity.aliases.auth_x_1.metadata.role': 'r',
    'identity.entity.aliases.auth_x_1.custom_metadata': { c: 'd' },
    'identity.entity.aliases.auth_x_1.custom_metadata.c': 'd',
    'identity.entity.aliases.none.name': '',
    'identity.entity.aliases.none.metadata': {},
    'time.now': 1_700_000_000,
    'time.now.plus.1h30m': 1_700_005_400,
    'time.now.plus.60': 1_700_000_060,
    'time.now.plus.1.5h': 1_700_005_400,
    'time.now.minus.1d': 1_699_913_600,
  }
  for (const [word, value] of Object.entries(words)) {
    t.strictSame(fill(`{"x": {{ ${word} }}}`), { x: value }, word)
  }
  t.strictSame(fill(''), {})
  t.strictSame(fill('{"a":1}'), { a: 1 })
  t.end()
})

tap.test('words that stand for nothing', t => {
  for (const [word, problem] of [
    ['', /no value could be found/],
    ['identity.entity', /no value could be found/],
    ['identity.entity.', /no value could be found/],
    ['identity.entity.policies', /no value could be found/],
    ['identity.entity.aliases.auth_x_1', /invalid alias selector/],
    ['identity.entity.aliases.auth_x_1.secret', /no value could be found/],
    ['identity.groups.names.ops.id', /no groups were provided/],
    ['time.then', /invalid time selector/],
    ['time.now.plus', /missing time operand/],
    ['time.now.times.2', /invalid time operator/],
    ['time.now.plus.soon', /invalid duration/],
  ] as const) {
    t.match(fill(`{"x": {{${word}}}}`), problem, word)
  }
  const ofNobody = { identity: undefined, nowMs: NOW_MS }
  t.match(fillClaims('{"x":{{identity.entity.id}}}', ofNobody), /no entity was provided/)
  t.strictSame(fillClaims('{"x":{{time.now}}}', ofNobody), { x: 1_700_000_000 })
  t.end()
})

tap.test('a value stays a value, whatever it says', t => {
  for (const name of [
    ...['","admin":true,"x":"', '{{identity.entity.id}}', '}}', '\\', '\u2028', '"', '\n'],
    ...['\u0000', '{"a":1}', '__proto__'],
  ]) {
    const filling = { identity: { ...identity, name, metadata: { [name]: name } }, nowMs: NOW_MS }
    const claims = fillClaims(
      '{"x":{{identity.entity.name}},"y":{{identity.entity.metadata}}}',
      filling,
    )
    assert.deepEqual(claims, { x: name, y: JSON.parse(JSON.stringify({ [name]: name })) })
  }
  t.end()
})

tap.test('what is no template', t => {
  for (const [text, problem] of [
    ['{{', /unbalanced/],
    ['}}', /unbalanced/],
    ['{"a":{{time.now}}}}', /unbalanced/],
    ['{"a":{{time.now}} }} ', /unbalanced/],
    ['{"a":"{{identity.entity.name}}"}', /template JSON/],
    [' null ', /no object/],
    ['"text"', /no object/],
    ...[
      'iat',
      'aud',
      'exp',
      'iss',
      'sub',
      'namespace',
      'nonce',
      'auth_time',
      'at_hash',
      'c_hash',
    ].map(name => [`{"${name}":1}`, /Restricted keys: iat, aud/] as const),
    [`{"a":"${'x'.repeat(limits.oidcTemplateChars)}"}`, /exceeds/],
  ] as const) {
    t.match(readTemplate(text, NOW_MS), { status: 400, text: problem }, text.slice(0, 40))
  }
  t.equal(readTemplate('{"sub2":1}', NOW_MS), '{"sub2":1}')
  t.equal(readTemplate('eyJhIjoxfQ==', NOW_MS), '{"a":1}')
  t.equal(readTemplate('', NOW_MS), '')
  t.end()
})
