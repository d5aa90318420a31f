/**
 * The topics of the registry.
 *
 * Owns the list alone.
 */
import type { AnyTopic } from '../../store/topic.ts'
import { registryFields } from '../fields.ts'
import { healthTopic } from './health.ts'

/** All topics that follow from the registry's rows. */
export function registryTopics(datacenter: string): readonly AnyTopic[] {
  const fields = registryFields(datacenter)
  return [healthTopic(fields)]
}
