/**
 * The topics of the registry.
 *
 * Owns the list alone.
 */
import type { AnyTopic } from '../../store/topic.ts'
import { registryFields } from '../fields.ts'
import { configTopic } from './config.ts'
import { healthTopic } from './health.ts'
import { intentionsTopic } from './intentions.ts'
import { kvTopic } from './kv.ts'
import { nodesTopic } from './nodes.ts'
import { servicesTopic } from './services.ts'

/** All topics that follow from the registry's rows. */
export function registryTopics(datacenter: string): readonly AnyTopic[] {
  const fields = registryFields(datacenter)
  const named = [healthTopic(fields), servicesTopic, nodesTopic(fields)]
  return [...named, kvTopic, configTopic, intentionsTopic]
}
