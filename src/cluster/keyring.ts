/**
 * The keys of gossip, which there is none of: what whoever asks for them is told.
 *
 * Owns that answer, Consul's where gossip is not encrypted, and who may have it. Pure.
 */
import { refuse } from '../base/denied.ts'
import { Refusal, severalErrors } from '../base/errors.ts'
import { access, type Who } from '../base/who.ts'

/** Whom the answer names. */
export interface KeyringSelf {
  readonly nodeName: string
  readonly datacenter: string
}

/** What comes of reading or changing the keys: a refusal, whoever asks. */
export const askKeyring = (
  who: Who,
  capability: 'read' | 'write',
  { nodeName, datacenter }: KeyringSelf,
): Refusal =>
  refuse(who, [access(capability, 'keyring')]) ??
  new Refusal(
    500,
    severalErrors([
      'WAN error: 1/1 nodes reported failure',
      emptyOn(`${nodeName}.${datacenter}`),
      `${datacenter} (LAN) error: 1/1 nodes reported failure`,
      emptyOn(nodeName),
    ]),
  )

const emptyOn = (node: string): string => `${node}: Keyring is empty (encryption not enabled)`
