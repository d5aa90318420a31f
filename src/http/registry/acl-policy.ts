/**
 * ACL policies and roles: `/v1/acl/policy/`, `/v1/acl/role/` (Consul's API).
 *
 * Owns which function of the identity room each path calls; their form is acl-object.ts's.
 */
import { Refusal } from '../../base/errors.ts'
import { allPolicies, policyById, policyByName } from '../../identity/policy.ts'
import { allRoles, roleById, roleByName } from '../../identity/role.ts'
import type { Identity } from '../../identity/room.run.ts'
import type { View } from '../../store/ask.ts'
import type { PathDeclaration } from '../declare.ts'
import { objectPaths } from './acl-object.ts'
import {
  policyBody,
  policyGiven,
  policyJson,
  policyShape,
  policyStub,
  policyStubShape,
  roleBody,
  roleGiven,
  roleJson,
  roleShape,
} from './acl-wire.ts'

const lower = (id: string): string => id.toLowerCase()

const refuseId = (what: string, { ID }: { readonly ID: string }): Refusal | undefined =>
  ID === '' ? undefined : new Refusal(400, `Cannot specify the ID when creating a new ${what}`)

export const policyPaths = (room: Identity, view: () => View): PathDeclaration[] =>
  objectPaths(
    {
      what: 'policy',
      path: '/v1/acl/policy',
      listPath: '/v1/acl/policies',
      body: policyBody,
      failure: 'Policy decoding failed',
      shape: policyShape,
      stub: { shape: policyStubShape, json: (_view, cell) => policyStub(cell) },
      json: (_view, stored) => policyJson(stored),
      idOf: ({ ID }) => lower(ID),
      fold: lower,
      refuseNew: body => refuseId('policy', body),
      mismatch: 'Policy ID in URL and payload do not match',
      all: who => allPolicies(who),
      byId: policyById,
      byName: policyByName,
      create: (who, body) => room.createPolicy(who, policyGiven(body)),
      update: (who, id, body) => room.updatePolicy(who, id, policyGiven(body)),
      remove: (who, id) => room.deletePolicy(who, id),
    },
    view,
  )

export const rolePaths = (room: Identity, view: () => View): PathDeclaration[] =>
  objectPaths(
    {
      what: 'role',
      path: '/v1/acl/role',
      listPath: '/v1/acl/roles',
      narrowedBy: { parameter: 'policy', help: 'Only those that hold the policy with this ID.' },
      body: roleBody,
      failure: 'Role decoding failed',
      shape: roleShape,
      json: roleJson,
      idOf: ({ ID }) => lower(ID),
      fold: lower,
      refuseNew: body => refuseId('role', body),
      mismatch: 'Role ID in URL and payload do not match',
      all: (who, policy) => allRoles(who, lower(policy)),
      byId: roleById,
      byName: roleByName,
      create: (who, body) => room.createRole(who, roleGiven(body)),
      update: (who, id, body) => room.updateRole(who, id, roleGiven(body)),
      remove: (who, id) => room.deleteRole(who, id),
    },
    view,
  )
