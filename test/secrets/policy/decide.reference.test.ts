/**
 * Decisions are those of the reference, whatever the policies; what is told of them agrees; and the
 * rule that is proposed for a refusal does allow it.
 */
import fc from 'fast-check'
import t from 'tap'
import {
  type CompiledPolicies,
  capabilitiesAt,
  compilePolicies,
  type Decision,
  decide,
  PolicyProblem,
  type PolicyRequest,
  type PolicySource,
  parsePolicy,
  smallestRule,
} from '../../../src/secrets/policy/mod.ts'
import { untilBudget } from '../../run/budget.ts'
import { type PolicyModel, policies, requests, textOf } from './generate.ts'
import { referenceAllows, referenceCapabilities } from './reference.ts'

const CASES = 50

t.test('any policies, any requests', async t => {
  const property = fc.property(policies, requests, hold)
  const run = () => fc.assert(property, { numRuns: CASES })
  t.ok((await untilBudget(`decisions of Vault's policies, by ${CASES}`, 20_000, run)) > 0)
})

function hold(models: readonly PolicyModel[], asked: readonly PolicyRequest[]): void {
  const compiled = compilePolicies(models.map(sourceOf))
  for (const request of asked) {
    const decision = decide(compiled, request)
    const shown = JSON.stringify(request, (_key, one) => (typeof one === 'bigint' ? `${one}` : one))
    const expected = referenceAllows(models, request)
    must(decision.allowed === expected, `${shown} should be ${expected}, as ${decision.reason}`)
    const { path, nowMs } = request
    const given = capabilitiesAt(compiled, path, nowMs).join()
    const wanted = referenceCapabilities(models, path, nowMs).join()
    must(given === wanted, `${path} should have ${wanted}, and has ${given}`)
    holdTold(models, decision, request)
    holdSmallest(models, compiled, request, expected)
  }
  // The order of policies and of blocks does not decide.
  const turned = models.map(one => ({ ...one, blocks: [...one.blocks].reverse() })).reverse()
  const other = compilePolicies(turned.map(sourceOf))
  for (const request of asked) {
    must(decide(other, request).allowed === decide(compiled, request).allowed, 'the order decides')
  }
}

function sourceOf(model: PolicyModel): PolicySource {
  const document = parsePolicy(textOf(model))
  if (document instanceof PolicyProblem) throw new Error(document.text)
  return { policy: model.name, namespace: model.namespace, document }
}

function holdTold(
  models: readonly PolicyModel[],
  { allowed, reason, rule, granting }: Decision,
  { operation }: PolicyRequest,
): void {
  must(allowed === (reason === 'granted'), `${reason} where allowed is ${allowed}`)
  must((rule === undefined) === (reason === 'no rule'), `${reason} with the rule ${rule?.pattern}`)
  must(!allowed || granting?.[0] === rule, 'another block gives it')
  const named = models.filter(one => one.name === rule?.policy && one.namespace === rule.namespace)
  const blocks = named.flatMap(one => one.blocks)
  const told = blocks.filter(
    one => rule !== undefined && rule.namespace + one.path === rule.pattern,
  )
  if (rule === undefined) return
  if (reason === 'granted')
    must(
      told.some(one => one.capabilities.includes(operation)),
      'gives it',
    )
  else if (reason === 'deny')
    must(
      told.some(one => one.capabilities.includes('deny')),
      'denies it',
    )
  else must(told.length > 0, 'is not there')
}

function holdSmallest(
  models: readonly PolicyModel[],
  compiled: CompiledPolicies,
  request: PolicyRequest,
  isAllowed: boolean,
): void {
  const text = smallestRule(compiled, request, { namespace: '', needsSudo: false })
  const own = models.flatMap(one =>
    one.blocks.map(block => ({ ...block, path: one.namespace + block.path })),
  )
  const isOwn = own.some(one => one.path === request.path)
  // Only a block of the very path can stand in the way of a rule for it.
  must(isAllowed || isOwn || text !== undefined, 'nothing is proposed')
  if (text === undefined) return
  must(!isAllowed, `${text} is proposed, and it is allowed`)
  const document = parsePolicy(text)
  if (document instanceof PolicyProblem) throw new Error(document.text)
  const more = compiled.with({ policy: 'more', namespace: '', document })
  must(decide(more, request).allowed, `${text} does not allow it`)
  must(document.blocks.length === 1, 'more than one block')
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}
