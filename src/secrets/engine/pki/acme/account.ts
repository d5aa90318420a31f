/**
 * Accounts of ACME (RFC 8555, 7.3): made, found, changed, ended, and their keys changed.
 *
 * Owns who may make one. Pure.
 */
import { limits } from '../../../../base/limits.ts'
import type { PathSpec } from '../../../declare.ts'
import { str } from '../../../field.ts'
import { needsExternal } from './directory.ts'
import {
  bindingKeyId,
  isBound,
  isSignedBy,
  jwkOf,
  keyOfJwk,
  objectIn,
  parseJws,
  thumbprintOf,
} from './jws.ts'
import type { AcmePorts } from './ports.ts'
import { Problem } from './problem.ts'
import { type AcmeAnswer, type Asked, signedPaths, signerOf } from './request.run.ts'
import {
  type AccountRow,
  accountOf,
  deleteExternal,
  externalAt,
  nameAccount,
  orderIds,
  putAccount,
  unnameAccount,
} from './rows.ts'
import { accountShape, ordersShape } from './shapes.ts'

export const accountPaths = (ports: AcmePorts): readonly PathSpec[] => [
  ...signedPaths(ports, {
    pattern: 'new-account',
    synopsis: 'Makes an account, or finds the one of a key.',
    description: 'The key of the request becomes that of the account.',
    fields: {},
    answer: accountShape,
    signer: 'key',
    handle: makeAccount,
  }),
  ...signedPaths(ports, {
    pattern: 'account/{kid}',
    synopsis: 'Reads, changes or ends an account.',
    description: 'By its own key alone.',
    fields: { kid: str('The id of the account.') },
    answer: accountShape,
    signer: 'account',
    handle: changeAccount,
  }),
  ...signedPaths(ports, {
    pattern: 'account/{kid}/orders',
    synopsis: 'The orders of an account.',
    description: 'By its own key alone.',
    fields: { kid: str('The id of the account.') },
    answer: ordersShape,
    signer: 'account',
    handle: listOrders,
  }),
  ...signedPaths(ports, {
    pattern: 'key-change',
    synopsis: 'Gives an account another key.',
    description: 'Both keys sign for it.',
    fields: {},
    answer: accountShape,
    signer: 'account',
    handle: changeKey,
  }),
]

const CREATED = 201

function makeAccount(asked: Asked): AcmeAnswer | Problem {
  const { call, ports, directory, jwk, payload = {} } = asked
  const { storage } = call
  const thumbprint = thumbprintOf(jwk)
  const known = accountOf(storage, directory.place, thumbprint)
  if (known !== undefined) {
    return known.status === 'valid'
      ? shown(asked, known, 200)
      : new Problem('unauthorized', `the account is ${known.status}`)
  }
  if (payload.onlyReturnExisting === true) {
    return new Problem('accountDoesNotExist', 'there is no account of this key')
  }
  const contacts = contactsIn(payload.contact)
  if (contacts instanceof Problem) return contacts
  const { externalAccountBinding: sent } = payload
  if (sent === undefined && needsExternal(directory.config, ports)) {
    return new Problem('externalAccountRequired', 'an account here needs an external account')
  }
  const binding = sent === undefined ? undefined : bindingOf(asked, sent)
  if (binding instanceof Problem) return binding
  const id = call.random.uuid()
  const account: AccountRow = {
    ...{ id, jwk, contacts, binding },
    directory: directory.place,
    status: 'valid',
    hasAgreed: payload.termsOfServiceAgreed === true,
    createdMs: call.now,
    usedMs: call.now,
  }
  // An external account's key makes one account.
  if (binding !== undefined) deleteExternal(storage, binding.id)
  putAccount(storage, account)
  nameAccount(storage, account, thumbprint)
  return shown(asked, account, CREATED)
}

function bindingOf(
  { call, directory, jwk }: Asked,
  sent: unknown,
): AccountRow['binding'] | Problem {
  const id = bindingKeyId(sent)
  if (id instanceof Problem) return id
  const external = externalAt(call.storage, id)
  const secret = Buffer.from(external?.key ?? '', 'base64url')
  const isRight = isBound(sent, secret, `${directory.url}/new-account`, jwk)
  // Which of the two is wrong is nobody's to know.
  return external !== undefined && external.directory === directory.place && isRight
    ? { id, sent }
    : new Problem('unauthorized', 'the binding of the external account does not hold')
}

function contactsIn(sent: unknown): readonly string[] | Problem {
  if (sent === undefined) return []
  const isList = Array.isArray(sent) && sent.length <= limits.acmeContacts
  if (!isList || !sent.every(one => typeof one === 'string')) {
    return new Problem(
      'malformed',
      `contact must be a list of at most ${limits.acmeContacts} texts`,
    )
  }
  for (const one of sent as string[]) {
    if (!one.startsWith('mailto:')) {
      return new Problem('unsupportedContact', 'contacts are of the form mailto:name@domain')
    }
    if (!/^mailto:[^\s@,?<>]{1,128}@[^\s@,?<>]{1,255}$/.test(one)) {
      return new Problem('invalidContact', 'a contact is no address of one person')
    }
  }
  return sent as string[]
}

const accountUrl = ({ directory }: Asked, id: string): string => `${directory.url}/account/${id}`

function shown(asked: Asked, account: AccountRow, status: number): AcmeAnswer {
  const url = accountUrl(asked, account.id)
  return {
    status,
    headers: { Location: url },
    body: {
      status: account.status,
      contact: account.contacts,
      termsOfServiceAgreed: account.hasAgreed,
      orders: `${url}/orders`,
      ...(account.binding && { externalAccountBinding: account.binding.sent }),
    },
  }
}

/** Refuses who asks for another's account. */
const refuseOther = ({ call, account }: Asked): Problem | undefined =>
  call.fields.kid === account?.id
    ? undefined
    : new Problem('unauthorized', 'this is the account of somebody else')

function changeAccount(asked: Asked): AcmeAnswer | Problem {
  const { call, payload = {} } = asked
  const other = refuseOther(asked)
  if (other !== undefined) return other
  const account = signerOf(asked)
  if (payload.status !== undefined) {
    if (payload.status !== 'deactivated') {
      return new Problem('malformed', 'the only status to be asked for is deactivated')
    }
    const ended: AccountRow = { ...account, status: 'deactivated', endedMs: call.now }
    putAccount(call.storage, ended)
    return shown(asked, ended, 200)
  }
  const contacts = payload.contact === undefined ? undefined : contactsIn(payload.contact)
  if (contacts instanceof Problem) return contacts
  const hasAgreed = account.hasAgreed || payload.termsOfServiceAgreed === true
  const changed = { ...account, contacts: contacts ?? account.contacts, hasAgreed }
  if (contacts !== undefined || hasAgreed !== account.hasAgreed) putAccount(call.storage, changed)
  return shown(asked, changed, 200)
}

function listOrders(asked: Asked): AcmeAnswer | Problem {
  const other = refuseOther(asked)
  if (other !== undefined) return other
  const { call, directory } = asked
  const orders = orderIds(call.storage, signerOf(asked).id)
  return { body: { orders: orders.map(id => `${directory.url}/order/${id}`) } }
}

/** RFC 8555, 7.3.5: the payload is a request too, which the new key signs. */
function changeKey(asked: Asked): AcmeAnswer | Problem {
  const { call, directory, payload } = asked
  const account = signerOf(asked)
  const inner = parseJws(Buffer.from(JSON.stringify(payload ?? {})))
  if (inner instanceof Problem) return inner
  const { jwk } = inner
  const key = jwk === undefined ? undefined : keyOfJwk(jwk)
  if (key instanceof Problem) return key
  if (key === undefined || inner.url !== `${directory.url}/key-change`) {
    return new Problem('malformed', 'the inner request has another url, or no key')
  }
  if (!isSignedBy(inner, key)) return new Problem('malformed', 'the new key did not sign')
  const said = objectIn(inner.payload.toString())
  const old = said && jwkOf(said.oldKey)
  const before = thumbprintOf(account.jwk)
  const isSame = old !== undefined && !(old instanceof Problem) && thumbprintOf(old) === before
  if (said?.account !== accountUrl(asked, account.id) || !isSame) {
    return new Problem('malformed', 'the inner request names another account, or another key')
  }
  const { storage } = call
  const taken = accountOf(storage, directory.place, thumbprintOf(jwk!))
  if (taken !== undefined) {
    const headers = { Location: accountUrl(asked, taken.id) }
    return new Problem('malformed', 'there is an account of the new key', { status: 409, headers })
  }
  const changed = { ...account, jwk: jwk! }
  unnameAccount(storage, account.directory, before)
  putAccount(storage, changed)
  nameAccount(storage, changed, thumbprintOf(jwk!))
  return shown(asked, changed, 200)
}
