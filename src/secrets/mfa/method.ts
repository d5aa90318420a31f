/**
 * Methods: the second factors that logins may be asked for.
 *
 * Owns the rows, who may use one of which namespace, and how one is shown: never its secrets. Pure.
 * Follows api-docs/secret/identity/mfa of Vault's docs.
 */
import { namespacesUnder } from '../namespace/change.ts'
import { type Namespace, namespaceAt, namespaceById } from '../namespace/namespace.ts'
import type { Draft, Storage } from '../storage.ts'
import type { DuoConfig, OktaConfig, PingidConfig } from './factor/factor.ts'
import type { TotpParams } from './totp.ts'

/** What a method of passcodes is: what its next secrets will be. */
export interface TotpConfig extends TotpParams {
  readonly issuer: string
  readonly keySizeBytes: number
  /** The edge of the picture; 0 for none. */
  readonly qrPixels: number
  readonly maxAttempts: number
}

interface MethodBase {
  readonly id: string
  /** '' for none; one in its namespace. */
  readonly name: string
  readonly namespaceId: string
  /** What the service is told as a name, with templates; '' for the name of the entity. */
  readonly usernameFormat: string
}

export type MethodRow = MethodBase &
  (
    | { readonly type: 'totp'; readonly config: TotpConfig }
    | { readonly type: 'duo'; readonly config: DuoConfig }
    | { readonly type: 'okta'; readonly config: OktaConfig }
    | { readonly type: 'pingid'; readonly config: PingidConfig }
  )

export type MethodType = MethodRow['type']

/** Methods by id. */
export const methodRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'mfa-methods')

/** A namespace and those that it is in, the outermost first. */
export function withOuter(draft: Draft, { path }: Pick<Namespace, 'path'>): Namespace[] {
  const ends = [...path.matchAll(/\//g)].map(({ index }) => index + 1)
  const paths = ['', ...ends.map(end => path.slice(0, end))]
  return paths.map(one => namespaceAt(draft, one)).filter(one => one !== undefined)
}

/** The methods that a namespace may use: its own, and those of namespaces that it is in. */
export const methodsFor = (draft: Draft, namespace: Namespace): MethodRow[] =>
  withOuter(draft, namespace).flatMap(({ id }) => methodsOf(draft, id))

/** All methods of a namespace. */
export function methodsOf(draft: Draft, namespaceId: string): MethodRow[] {
  const rows = methodRows(draft, namespaceId)
  return rows.keys().map(id => rows.kept<MethodRow>(id)!)
}

/** The method of an id that a namespace may use. */
export function usableMethod(
  draft: Draft,
  namespace: Namespace,
  id: string,
): MethodRow | undefined {
  return firstOf(draft, withOuter(draft, namespace), id)
}

/** The method of an id that a namespace may look at: those of inner ones too. */
export function visibleMethod(
  draft: Draft,
  namespace: Namespace,
  id: string,
): MethodRow | undefined {
  const own = usableMethod(draft, namespace, id)
  return own ?? firstOf(draft, namespacesUnder(draft, namespace, true), id)
}

function firstOf(
  draft: Draft,
  namespaces: readonly Pick<Namespace, 'id'>[],
  id: string,
): MethodRow | undefined {
  for (const { id: namespaceId } of namespaces) {
    const found = id === '' ? undefined : methodRows(draft, namespaceId).kept<MethodRow>(id)
    if (found !== undefined) return found
  }
  return undefined
}

/** What a method is called by in requests: with the path of its namespace. */
export const wholeNameOf = (draft: Draft, { namespaceId, name }: MethodRow): string =>
  (namespaceById(draft, namespaceId)?.path ?? '') + name

/** Whether a passcode is to be given. */
export const usesPasscode = (method: MethodRow): boolean =>
  method.type === 'totp' || (method.type === 'duo' && method.config.usePasscode)

/** A method as it is read. */
export function showMethod(draft: Draft, method: MethodRow): Readonly<Record<string, unknown>> {
  const { id, name, namespaceId, type } = method
  const path = namespaceById(draft, namespaceId)?.path ?? ''
  return { ...configOf(method), id, name, namespace_id: namespaceId, namespace_path: path, type }
}

function configOf(method: MethodRow): Readonly<Record<string, unknown>> {
  const { usernameFormat: username_format } = method
  switch (method.type) {
    case 'totp': {
      const { algorithm, digits, issuer, keySizeBytes, maxAttempts, periodS, qrPixels, skew } =
        method.config
      return {
        ...{ algorithm, digits, issuer, key_size: keySizeBytes, period: periodS },
        ...{ max_validation_attempts: maxAttempts, qr_size: qrPixels, skew },
      }
    }
    case 'duo': {
      const { apiHostname: api_hostname, pushInfo: pushinfo, usePasscode } = method.config
      const shown = { api_hostname, pushinfo, use_passcode: usePasscode }
      return { ...shown, mount_accessor: '', username_format }
    }
    case 'okta': {
      const { baseUrl: base_url, orgName: org_name, primaryEmail: primary_email } = method.config
      return { base_url, org_name, primary_email, mount_accessor: '', username_format }
    }
    case 'pingid': {
      const { adminUrl, authenticatorUrl, idpUrl, orgAlias, useSignature } = method.config
      return {
        ...{ admin_url: adminUrl, authenticator_url: authenticatorUrl, idp_url: idpUrl },
        ...{ org_alias: orgAlias, use_signature: useSignature, username_format },
      }
    }
  }
}
