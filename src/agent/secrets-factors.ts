/**
 * What second factors of others are given of the server: the outbound guard, a resolver.
 *
 * Owns the joining alone.
 */
import { createResolver } from '../base/io/dns2.ts'
import { targetGuard } from '../checks/guard.ts'
import { factorAsks } from '../secrets/mfa/factor/asks.run.ts'
import type { FactorAsks } from '../secrets/mfa/factor/factor.ts'
import type { SettledConfig } from './config.ts'
import type { World } from './parts.ts'

/** How second factors of others are asked by this server. */
export const factorsOf = ({ loginTargetsAllow }: SettledConfig, { clock }: World): FactorAsks =>
  factorAsks({
    clock,
    resolver: createResolver({ clock }),
    mayReach: targetGuard(loginTargetsAllow),
    context: undefined,
  })
