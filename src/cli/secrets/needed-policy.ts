/**
 * The policy that a request needs, for `-output-policy`.
 *
 * Owns which capability each operation needs and which paths need sudo besides. It is said from
 * the request alone, so a server that knows better may still refuse.
 */
import type { Query } from '../exchange.ts'

/** Paths below which sudo is needed; a `+` is any one segment. */
const SUDO = [
  'auth/token/accessors',
  'auth/token/revoke-orphan',
  'sys/audit',
  'sys/auth/+',
  'sys/config/auditing/request-headers',
  'sys/config/cors',
  'sys/config/ui/headers',
  'sys/internal/inspect/router',
  'sys/leases',
  'sys/leases/lookup/+',
  'sys/leases/revoke-force/+',
  'sys/leases/revoke-prefix/+',
  'sys/plugins/catalog/+',
  'sys/raw',
  'sys/remount',
  'sys/revoke-force/+',
  'sys/revoke-prefix/+',
  'sys/rotate',
  'sys/rotate/keyring',
  'sys/rotate/root',
  'sys/seal',
  'sys/step-down',
].map(path => new RegExp(`^${path.replaceAll('+', '[^/].*')}$`))
/** Of these, everything below as well. */
const SUDO_BELOW = /^sys\/(audit|raw|config\/(auditing|ui\/headers)|internal\/inspect)\//

/** The policy as HCL. */
export function policyText(method: string, path: string, query: Query): string {
  const capabilities = [...capabilitiesOf(method, query), ...(needsSudo(path) ? ['sudo'] : [])]
  const list = capabilities.map(each => `"${each}"`).join(', ')
  return `path ${JSON.stringify(path)} {\n  capabilities = [${list}]\n}`
}

function capabilitiesOf(method: string, query: Query): readonly string[] {
  if (query.list === 'true') return ['list']
  if (query.scan === 'true') return ['scan']
  if (method === 'GET') return ['read']
  return method === 'PUT' || method === 'POST' ? ['create', 'update'] : [method.toLowerCase()]
}

const needsSudo = (path: string): boolean =>
  SUDO_BELOW.test(path) || SUDO.some(one => one.test(path))
