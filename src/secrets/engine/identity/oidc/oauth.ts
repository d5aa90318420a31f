/**
 * Answers of OAuth (RFC 6749, sections 4.1.2.1 and 5.2; RFC 6750, section 3.1): their errors are no
 * envelopes.
 *
 * Owns their form, and which status an error has. Pure.
 */
import type { Answer } from '../../../declare.ts'
import * as shape from '../../../shape.ts'

export type OAuthError =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_token'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'
  | 'request_not_supported'
  | 'request_uri_not_supported'
  | 'access_denied'
  | 'temporarily_unavailable'
  | 'server_error'
  | 'invalid_client_id'
  | 'invalid_redirect_uri'
  | 'max_age_violation'

/** Why something was refused. */
export interface Fault {
  readonly error: OAuthError
  readonly description: string
}

export const fault = (error: OAuthError, description: string): Fault => ({ error, description })

/** What an error's answer has beside an answer's own parts. */
export const faultParts = {
  error: shape.optional(shape.text),
  error_description: shape.optional(shape.text),
}

const said = ({ error, description }: Fault) => ({ error, error_description: description })

/** The authorization endpoint's: whoever asked gets his `state` back. */
export const authorizeFault = (one: Fault, state: string): Answer => ({
  status: one.error === 'server_error' ? 500 : 400,
  bare: { ...said(one), state },
})

const NO_CACHE = { Pragma: 'no-cache' }

/** What the token endpoint gives. */
export const tokenAnswer = (bare: object): Answer => ({ bare, headers: NO_CACHE })

/** The token endpoint's. */
export function tokenFault(one: Fault): Answer {
  const bare = said(one)
  if (one.error !== 'invalid_client') {
    return { status: one.error === 'server_error' ? 500 : 400, bare, headers: NO_CACHE }
  }
  return { status: 401, bare, headers: { ...NO_CACHE, 'WWW-Authenticate': 'Basic' } }
}

/** The userinfo endpoint's. */
export function userinfoFault(one: Fault): Answer {
  const bare = said(one)
  if (one.error === 'access_denied') return { status: 403, bare }
  const told = `Bearer error="${one.error}",error_description="${one.description}"`
  const status = one.error === 'invalid_request' ? 400 : 401
  return { status, bare, headers: { 'WWW-Authenticate': told } }
}
