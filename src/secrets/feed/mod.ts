/**
 * The topics of the secrets' half.
 *
 * Owns the list.
 */
import type { AnyTopic } from '../../store/topic.ts'
import { certificatesTopic } from './certificates.run.ts'
import { leasesTopic } from './leases.ts'
import { SecretsAuthority, type SecretsFeedPorts } from './reader.run.ts'
import { rootsTopic } from './roots.run.ts'

/** All of them. */
export function secretsTopics(ports: SecretsFeedPorts): readonly AnyTopic[] {
  const authority = new SecretsAuthority(ports)
  return [
    rootsTopic(ports, authority),
    certificatesTopic(ports, authority),
    leasesTopic(ports, authority),
  ]
}
