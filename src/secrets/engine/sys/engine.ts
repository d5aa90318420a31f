/**
 * The engine under `sys/`: control, policy and debugging, as one list of declared paths.
 *
 * Owns the joining of the lists alone: each file of this folder declares its own.
 */
import type { Engine, PathSpec } from '../../declare.ts'
import { auditPaths } from './audit.ts'
import { capabilityPaths } from './capabilities.ts'
import { conditionPaths } from './conditions.ts'
import { configPaths } from './config.ts'
import { explainPaths } from './explain.ts'
import { grantPaths } from './grants.ts'
import { internalPaths } from './internal.ts'
import { laterPaths } from './later.ts'
import { leasePaths } from './leases.ts'
import { lockedUserPaths } from './locked-users.ts'
import { mfaPaths } from './mfa.run.ts'
import { mountPaths } from './mounts.ts'
import { namespacePaths } from './namespaces.ts'
import { openapiPaths } from './openapi.ts'
import { passwordPaths } from './password-policies.ts'
import { pluginPaths } from './plugins.ts'
import { policyPaths } from './policies.ts'
import type { SystemPorts } from './ports.ts'
import { quotaPaths } from './quotas.ts'
import { raftPaths } from './raft.ts'
import { remountPaths } from './remount.ts'
import { runtimePaths } from './runtime.run.ts'
import { sealPaths } from './seal.run.ts'
import { statusPaths } from './status.ts'
import { toolPaths } from './tools.ts'
import { wrappingPaths } from './wrapping.ts'

/** The system engine; `engines` are all that there are, itself among them once it is. */
export function systemEngine(ports: SystemPorts, engines: readonly Engine[]): Engine {
  const paths = systemPaths(ports, engines)
  return {
    type: 'system',
    kind: 'system',
    help: 'Control, policy and debugging of the secrets.',
    isMountable: false,
    paths: () => paths,
  }
}

function systemPaths(ports: SystemPorts, engines: readonly Engine[]): PathSpec[] {
  return [
    ...mountPaths('secret', engines),
    ...mountPaths('auth', engines),
    ...sealPaths(ports.seal, ports.sealAccess),
    ...explainPaths(ports.denials),
    ...conditionPaths(ports.conditions),
    ...grantPaths(ports.registry),
    ...remountPaths(),
    ...internalPaths(),
    ...namespacePaths(engines),
    ...policyPaths,
    ...passwordPaths,
    ...lockedUserPaths,
    ...capabilityPaths,
    ...openapiPaths(engines),
    ...statusPaths(ports),
    ...runtimePaths(ports),
    ...configPaths(ports),
    ...auditPaths(ports),
    ...quotaPaths(),
    ...toolPaths(),
    ...pluginPaths(engines),
    ...raftPaths(ports),
    ...leasePaths,
    ...mfaPaths(ports.factors, engines),
    ...wrappingPaths,
    ...laterPaths(),
  ]
}

/** The paths below `sys/` that answer while sealed. */
export const pathsWhileSealed = (engines: readonly Engine[]): PathSpec[] =>
  engines
    .filter(({ kind }) => kind === 'system')
    // The system engine declares the same paths for every mount of it.
    .flatMap(engine => engine.paths(undefined as never))
    .filter(({ whileSealed }) => whileSealed === true)
