/**
 * A denial holds for lists and for whole trees too, not for single names alone: what is below a
 * prefix is never reached by asking about the prefix. (The class of GHSA-xp3c-3jw3-4vcr and
 * CVE-2019-12291.)
 */
import t from 'tap'
import { type Access, access, accessToAll } from '../../src/base/who.ts'
import { type Authorizer, compile, parseRules, RulesProblem } from '../../src/identity/rules/mod.ts'
import { casesOf } from '../fuzz/cases.ts'
import { type Case, drawCase } from '../identity/rules/generate.ts'
import { untilBudget } from '../run/budget.ts'

function of(...texts: string[]): Authorizer {
  const sources = texts.map((text, at) => {
    const rules = parseRules(text)
    if (rules instanceof RulesProblem) throw new Error(rules.text)
    return { policyId: `${at}`, policyName: `${at}`, rules }
  })
  return compile(sources, { defaultPolicy: 'deny', keyListPolicy: true })
}

const all = 'key_prefix "" { policy = "write" }'
const denied = 'key_prefix "secret/" { policy = "deny" }'
const list = (name: string): Access => access('list', 'key', name)
const remove = (name: string): Access => access('write', 'key_prefix', name)

t.test(
  'attack: the denied prefix by list, by tree, from above and from another policy',
  async t => {
    for (const authorizer of [of(`${all} ${denied}`), of(all, denied), of(denied, all)]) {
      for (const name of ['secret/', 'secret/a', 'secret/a/b']) {
        t.notOk(authorizer.may(list(name)), `list ${name}`)
        t.notOk(authorizer.may(remove(name)), `remove ${name}`)
        t.notOk(authorizer.may(access('read', 'key', name)), `read ${name}`)
      }
      // From above: the tree holds what is denied.
      for (const name of ['', 's', 'secret'])
        t.notOk(authorizer.may(remove(name)), `remove "${name}"`)
    }
  },
)

t.test('attack: a denial that a later repetition would hide', async t => {
  const json = '{"key":{"a":{"policy":"deny"},"a":{"policy":"write"}}}'
  const hcl = 'key "a" { policy = "deny" } KEY "a" { Policy = "WRITE" }'
  for (const text of [json, hcl]) {
    t.notOk(of(text, all).may(access('read', 'key', 'a')), text)
    t.notOk(of(text, all).may(remove('')), text)
  }
})

t.test('attack: a single key deep below', async t => {
  const authorizer = of(all, 'key "a/b/c/d" { policy = "read" }')
  for (const name of ['', 'a', 'a/b/c/d']) t.notOk(authorizer.may(remove(name)), name)
  t.ok(authorizer.may(remove('a/b/c/d/')))
})

t.test('near miss: names that only look alike', async t => {
  const authorizer = of(`${all} ${denied}`)
  for (const name of ['secre/', 'secret-a', 'Secret/', 'a/secret/', ' secret/']) {
    t.ok(authorizer.may(list(name)), name)
    t.ok(authorizer.may(remove(name)), name)
  }
  // The prefix itself is no key below it.
  t.ok(authorizer.may(list('secret')))
})

t.test('generated: what a tree or "all" allows, every name in it allows', async t => {
  const target = { make: drawCase, run: hold, show: (input: Case) => JSON.stringify(input) }
  t.ok((await untilBudget('denials in ranges', 100_000, casesOf(target))) > 0)
})

function hold({ sources, options, asked }: Case): void {
  const authorizer = compile(sources, { ...options, keyListPolicy: true })
  const rules = sources.flatMap(source => source.rules)
  const names = new Set(rules.flatMap(rule => (rule.form === 'scalar' ? [] : [rule.name])))
  for (const { resource, capability, name } of asked) {
    const isTree = resource === 'key_prefix'
    const range = access(capability, resource, name)
    if (!authorizer.may(isTree ? range : accessToAll(capability, resource))) continue
    for (const start of isTree ? [name] : ['', ...names]) {
      for (const one of [start, `${start}x`, ...names]) {
        // Towards all services to read means towards any of them.
        if (isTree ? !one.startsWith(name) : one === '*') continue
        const single = access(capability, isTree ? 'key' : resource, one)
        if (!authorizer.may(single)) throw new Error(`"${one}" is refused, not ${resource} ${name}`)
      }
    }
  }
}
