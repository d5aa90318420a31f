/**
 * What tests of conditions share: facts of a request, and programs that run on them.
 */
import { wallMs } from '../../../src/base/brand.ts'
import { limits } from '../../../src/base/limits.ts'
import { everybody, nothingUnmet, type RequestFacts, type Who } from '../../../src/base/who.ts'
import {
  type ConditionFacts,
  type Target,
  type TokenFacts,
  testProgram,
} from '../../../src/identity/condition/evaluate.ts'
import type { Outcome, Program } from '../../../src/identity/condition/program.ts'

/** A Monday, half past nine in London. */
export const NOW = wallMs(Date.UTC(2026, 10, 23, 9, 30))

export interface More {
  readonly who?: Who
  readonly request?: Partial<RequestFacts>
  readonly token?: Partial<TokenFacts>
  readonly targets?: readonly Target[]
  readonly body?: unknown
}

export const service = (name: string): Target => ({
  resource: 'service',
  name,
  capability: 'write',
})
export const key = (name: string): Target => ({ resource: 'key', name, capability: 'write' })

const BODY_SIZE_BYTES = 100

/** Facts of somebody who registers a service. */
export function factsOf({
  who = everybody,
  request,
  token,
  targets,
  body,
}: More = {}): ConditionFacts {
  return {
    who,
    request: {
      id: 'r1',
      operation: 'PUT /v1/agent/service/register',
      name: '',
      query: '',
      remote: '10.1.2.3',
      body,
      bodySizeBytes: Buffer.isBuffer(body) ? body.length : BODY_SIZE_BYTES,
      overrides: false,
      isRenewal: false,
      recorded: false,
      ...nothingUnmet,
      ...request,
    },
    targets: targets ?? [service('web')],
    token: () => ({
      accessor: 'acc',
      policies: ['ops'],
      roles: [],
      authMethod: 'ci',
      metadata: { team: 'pay', groups: ['x'] },
      ...token,
    }),
  }
}

/** What a program gives; with `whole` its steps too. */
export function run(program: Program, more: More = {}, whole = false): Outcome {
  const outcome = testProgram(program, factsOf(more), service('web'), NOW)
  if (outcome.steps > limits.conditionSteps) throw new Error('beyond the steps')
  if (whole) return outcome
  const { steps: _steps, ...rest } = outcome
  return rest as Outcome
}
