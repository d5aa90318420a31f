/**
 * The secrets of an agent that is no server: its listener, behind which servers answer.
 *
 * Owns how the two are joined. Keeps and logs nothing of what goes through.
 */
import type { Timeouts } from '../../base/timeouts.ts'
import { Admission } from '../../http/admission.ts'
import { createSecretsRelay, type SecretsRelay } from '../../http/secrets/relay.ts'
import type { ServerChannel } from '../../rpc/channels.ts'
import type { SettledConfig } from '../config.ts'
import { secureOptionsOf } from '../config-tls.ts'
import type { World } from '../parts.ts'
import type { Reloadable } from '../reload.ts'
import type { FaceAddress } from '../running.ts'
import { Forwarder, secretsHalf } from './forward.ts'

export interface SecretsRelayGround {
  readonly channel: ServerChannel
  readonly timeouts: Timeouts
  /** See ForwarderPorts. */
  readonly awaySinceMs: () => number | undefined
}

/** Makes the face where the configuration wants one; nothing listens yet. */
export function secretsRelayOf(
  { ports, nodeName: node, http }: SettledConfig,
  { channel, timeouts, awaySinceMs }: SecretsRelayGround,
  { clock, random, log, metrics }: World,
): SecretsRelay | undefined {
  if (ports.secrets === -1) return undefined
  const forwarder = new Forwarder({
    ...{ channel, clock, timeouts, metrics, node, awaySinceMs },
    half: secretsHalf,
    responseHeaders: () => NO_HEADERS,
  })
  return createSecretsRelay({
    ...{ ...http, random },
    admission: new Admission({ ...http, clock, log, metrics }),
    forward: (message, response, reply) => forwarder.send(message, response, reply),
  })
}

const NO_HEADERS = {}

/** Has the face listen wherever the configuration says; gives where that is. */
export async function listenRelay(
  relay: SecretsRelay | undefined,
  { addresses, ports, tls }: SettledConfig,
): Promise<FaceAddress[]> {
  const secure = secureOptionsOf(tls.secrets)
  const bound: FaceAddress[] = []
  for (const host of relay === undefined ? [] : addresses.secrets) {
    bound.push({ face: 'secrets', ...(await relay!.listen(host, ports.secrets, secure)) })
  }
  return bound
}

/** What takes over a changed configuration. */
export const relayReloadables = (relay: SecretsRelay | undefined): readonly Reloadable[] =>
  relay === undefined
    ? []
    : [
        {
          takes: ['tls'],
          apply(next) {
            const secure = secureOptionsOf(next.tls.secrets)
            if (secure !== undefined) relay.secure(secure)
          },
        },
        {
          takes: ['http.rates', 'http.connectionsPerClient'],
          apply: next => relay.setLimits(next.http),
        },
      ]
