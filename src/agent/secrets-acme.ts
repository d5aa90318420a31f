/**
 * What ACME is given of the server: its own address, the outbound guard, a resolver.
 *
 * Owns the choices that go with the mode: in development a mount needs no address of its own, and
 * challenges may be looked for on this machine.
 */
import { createResolver } from '../base/io/dns2.ts'
import { targetGuard } from '../checks/guard.ts'
import type { AcmePorts } from '../secrets/engine/pki/acme/ports.ts'
import type { SystemPorts } from '../secrets/engine/sys/ports.ts'
import type { SettledConfig } from './config.ts'
import type { World } from './parts.ts'

/** Vault's and OpenBao's: nobody is served without an external account. */
const VARIABLES = ['VAULT_DISABLE_PUBLIC_ACME', 'BAO_DISABLE_PUBLIC_ACME']
const HTTP_PORT = 80
const TLS_PORT = 443

/** The ports of ACME on this server. */
export function acmePorts(
  { isDev }: SettledConfig,
  { cluster, arithmetic }: Pick<SystemPorts, 'arithmetic' | 'cluster'>,
  { clock, environment }: World,
): AcmePorts {
  const isSaid = (name: string): boolean => /^(1|t|true)$/i.test(environment[name] ?? '')
  return {
    arithmetic,
    needsExternalAccount: VARIABLES.some(isSaid),
    baseUrl: () =>
      isDev ? (cluster.servers().find(({ isSelf }) => isSelf)?.apiAddress ?? '') : '',
    mayReachItself: isDev,
    resolver: createResolver({ clock }),
    guard: targetGuard,
    httpPort: HTTP_PORT,
    tlsPort: TLS_PORT,
  }
}
