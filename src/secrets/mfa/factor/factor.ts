/**
 * Second factors that are asked of somebody else: Duo, Okta and PingID.
 *
 * Owns what such a service is known by, and how it is asked: a name and perhaps a passcode go in, a
 * pass or a reason comes out. Knows no rows. Each kind asks in a file of its own beside this one.
 */

/** A service of Duo, as its administrator shows it. */
export interface DuoConfig {
  /** The host of the API, without scheme. */
  readonly apiHostname: string
  readonly integrationKey: string
  /** A secret: requests are signed with it. */
  readonly secretKey: string
  /** What a push shows beside, as a query string; '' for nothing. */
  readonly pushInfo: string
  /** Whether clients are told that a passcode may be given. A push is asked for without one. */
  readonly usePasscode: boolean
}

/** An organisation of Okta. */
export interface OktaConfig {
  /** The first part of its host. */
  readonly orgName: string
  /** What stands behind it: `okta.com`, `oktapreview.com`. */
  readonly baseUrl: string
  /** A secret: requests show it. */
  readonly apiToken: string
  /** Whether the name is that of the primary email, and not the login. */
  readonly primaryEmail: boolean
}

/** An organisation of PingID: what its settings file says. */
export interface PingidConfig {
  /** A secret, in base64: requests are signed with it, and answers looked at. */
  readonly useBase64Key: string
  readonly useSignature: boolean
  /** Stands in requests and answers; a secret too. */
  readonly token: string
  /** Where requests go, as a URL without a slash at its end. */
  readonly idpUrl: string
  readonly orgAlias: string
  readonly adminUrl: string
  readonly authenticatorUrl: string
}

/** Whether somebody has the factor. */
export type FactorOutcome =
  | { readonly passed: true }
  /** `reason` is told to who logs in, and to nobody else: it holds no secret of the service. */
  | { readonly passed: false; readonly reason: string }

/** What is known of a login beside the name. */
export interface FactorContext {
  /** The address that the login came from; '' for none. */
  readonly remoteAddress: string
  /** Ends the asking: the login was given up, or took too long. */
  readonly signal: AbortSignal
}

/**
 * Asks a service whether somebody has his second factor: resolves once it is known. A service that
 * cannot be reached, or answers what it must not, is no pass either and told by `reason`: nothing
 * is thrown for it.
 */
export type AskFactor<Config> = (
  config: Config,
  username: string,
  passcode: string | undefined,
  context: FactorContext,
) => Promise<FactorOutcome>

/** How each kind is asked. */
export interface FactorAsks {
  readonly duo: AskFactor<DuoConfig>
  readonly okta: AskFactor<OktaConfig>
  readonly pingid: AskFactor<PingidConfig>
}
