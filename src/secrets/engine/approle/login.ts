/**
 * Logins of approle: a role's id, and a secret id where the role asks for one.
 *
 * Owns what a login is refused for. All in one transaction: a secret id's use, its token, its
 * entity. A role that is not there and a secret id that is not right are told in the same words.
 * Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { type Answer, type Call, type Outcome, path } from '../../declare.ts'
import { str } from '../../field.ts'
import {
  countFailure,
  isLocked,
  LOCKED,
  type LockoutSettings,
  lockoutOf,
} from '../../lockout/lockout.ts'
import { type MountRow, storageOf } from '../../mount/mount.ts'
import type { Draft } from '../../storage.ts'
import { isFrom } from '../../token/cidr.ts'
import { loginAnswer } from '../../token/login.ts'
import type { TokenParams } from '../../token/params.ts'
import type { TokenRow } from '../../token/token.ts'
import { refuseWider } from './cidrs.ts'
import {
  accessorOf,
  putSecretId,
  type RoleRow,
  roleAt,
  roleOfId,
  type SecretIdRow,
  secretIdAt,
  secretIdsOf,
} from './rows.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const fields = {
  role_id: str('The id of the role.'),
  secret_id: str('A secret id of the role.', { isSecret: true }),
}
type LoginCall = Call<typeof fields>

/** The same words, whatever it is that is not right; an answer, since the failure is counted. */
const INVALID: Answer = { status: 400, errors: ['invalid role or secret ID'] }

/** The path of logins. */
export const loginPath = (settings: LockoutSettings) =>
  path({
    pattern: 'login',
    help: {
      synopsis: 'Logs an application in.',
      description: 'By the id of its role, and a secret id where the role asks for one.',
    },
    fields,
    access: 'open',
    operations: {
      update: {
        summary: 'Gives a token.',
        givesAuth: true,
        run: call => login(call, settings),
        examples: [{ role_id: 'the-id-of-the-role', secret_id: 'a-secret-id' }],
      },
    },
  })

function login(call: LoginCall, settings: LockoutSettings): Outcome {
  const { draft, storage, mount, now, fields: said } = call
  const roleId = (said.role_id ?? '').trim()
  const secretId = (said.secret_id ?? '').trim()
  if (roleId === '') return bad('missing role_id')
  const role = roleOfId(draft, storage, roleId)
  if (role === undefined) return INVALID
  if (!role.bindSecretId) return admit(call, role, undefined)
  if (secretId === '') return bad('missing secret_id')
  const lockout = lockoutOf(settings, mount)
  if (isLocked(draft, mount, roleId, lockout)) return LOCKED
  const row =
    secretId.length > limits.secretIdChars
      ? undefined
      : secretIdAt(storage, role, accessorOf(draft, role, secretId), now)
  if (row === undefined) {
    countFailure(draft, mount, roleId, lockout)
    return INVALID
  }
  return admit(call, role, row)
}

const ELSEWHERE = bad('source address unauthorized through CIDR restrictions')

function admit(call: LoginCall, role: RoleRow, row: SecretIdRow | undefined): Outcome {
  const { storage, request } = call
  const cidrs = row?.cidrs ?? []
  const refused = refuseWider(cidrs, role.secretIdCidrs)
  if (refused !== undefined) return refused
  if (!isFrom(cidrs, request.remote) || !isFrom(role.secretIdCidrs, request.remote)) {
    return ELSEWHERE
  }
  if (row !== undefined && row.numUses > 0) use(call, role, row)
  const metadata = { ...row?.metadata, role_name: role.name }
  const boundCidrs = row !== undefined && row.tokenCidrs.length > 0 ? row.tokenCidrs : undefined
  return loginAnswer(call, {
    alias: { name: role.roleId, metadata },
    displayName: '',
    metadata,
    params: boundCidrs === undefined ? role.token : { ...role.token, boundCidrs },
    internal: { role_name: role.name, role: role.uuid },
    ...(row === undefined ? {} : { lockoutName: role.roleId }),
  })

  function use({ now }: LoginCall, { uuid }: RoleRow, secretId: SecretIdRow): void {
    if (secretId.numUses === 1) storage.delete(secretIdsOf({ uuid }) + secretId.accessor)
    else
      putSecretId(storage, role, { ...secretId, numUses: secretId.numUses - 1, updatedAtMs: now })
  }
}

/** How a token of a login lives on: as its role says by now, if that is still there. */
export function renew(draft: Draft, mount: MountRow, token: TokenRow): TokenParams | Refusal {
  const { role_name: name = '', role: uuid } = token.internal
  const role = roleAt(storageOf(draft, mount), name)
  return role?.uuid === uuid && role !== undefined
    ? role.token
    : bad(`role ${JSON.stringify(name)} does not exist during renewal`)
}
