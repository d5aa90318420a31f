/**
 * Keys and certificates as text.
 *
 * Owns the forms that are told: PEM (RFC 7468), and the bare bytes of Ed25519's public keys. Pure.
 */
import type { KeyObject } from 'node:crypto'

/** PEM of DER that is given as base64, without a line end behind it. */
export const derToPem = (base64: string, label = 'CERTIFICATE'): string =>
  `-----BEGIN ${label}-----\n${base64.replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----`

/** The 32 bytes of the public key of an Ed25519 key, whole or public alone. */
export const publicBytes = (key: KeyObject): Buffer =>
  Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url')
