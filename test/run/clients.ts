/**
 * The foreign programs that tests talk to us with or hurt us by, and the Debian packages that carry
 * them.
 *
 * Owns the list and the installation, which needs root. A test that needs one says
 * `t.test(name, { skip: absent('nginx') }, …)`, so its absence is counted, never hidden.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { basename, delimiter, dirname } from 'node:path'

/** Tries another etcd than Debian's: the path of its program, which must be called etcd. */
const otherEtcd = process.env.GATEHOUSE_ETCD
if (otherEtcd !== undefined) {
  if (basename(otherEtcd) !== 'etcd' || !existsSync(otherEtcd)) {
    throw new Error(`GATEHOUSE_ETCD=${otherEtcd} is no file called etcd`)
  }
  // Managed members look for theirs along the path.
  process.env.PATH = [dirname(otherEtcd), process.env.PATH].join(delimiter)
}

const clients = {
  etcd: { debian: 'etcd-server', file: otherEtcd ?? '/usr/bin/etcd' },
  dnsperf: { debian: 'dnsperf', file: '/usr/bin/dnsperf' },
  nginx: { debian: 'nginx-light', file: '/usr/sbin/nginx' },
  nft: { debian: 'nftables', file: '/usr/sbin/nft' },
  haproxy: { debian: 'haproxy', file: '/usr/sbin/haproxy' },
  'python3-consul': {
    debian: 'python3-consul',
    file: '/usr/lib/python3/dist-packages/consul/__init__.py',
  },
  'python3-hvac': {
    debian: 'python3-hvac',
    file: '/usr/lib/python3/dist-packages/hvac/__init__.py',
  },
  certbot: { debian: 'certbot', file: '/usr/bin/certbot' },
  lego: { debian: 'lego', file: '/usr/bin/lego' },
  unbound: { debian: 'unbound', file: '/usr/sbin/unbound' },
  dnsmasq: { debian: 'dnsmasq-base', file: '/usr/sbin/dnsmasq' },
  dig: { debian: 'bind9-dnsutils', file: '/usr/bin/dig' },
  gpg: { debian: 'gnupg', file: '/usr/bin/gpg' },
  openssl: { debian: 'openssl', file: '/usr/bin/openssl' },
  curl: { debian: 'curl', file: '/usr/bin/curl' },
  oathtool: { debian: 'oathtool', file: '/usr/bin/oathtool' },
  strace: { debian: 'strace', file: '/usr/bin/strace' },
  faketime: { debian: 'faketime', file: '/usr/bin/faketime' },
  go: {
    debian: 'golang-go',
    file: existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : '/usr/bin/go',
  },
} as const

/** A foreign program by the name that tests use. */
export type Client = keyof typeof clients

/** Where the program lies (for packages of Python: their module). */
export function clientFile(client: Client): string {
  return clients[client].file
}

/** Why a test cannot run here, for tap's `skip` option; false when all of them are present. */
export function absent(...needed: Client[]): string | false {
  const missing = needed.filter(client => !existsSync(clientFile(client)))
  return missing.length > 0 && `not installed: ${missing.join(', ')}`
}

/** Why a program that needs a Go of this version cannot be built here; false when it can. */
export function tooOldGo(major: number, minor: number): string | false {
  const { stdout } = spawnSync(clientFile('go'), ['version'], { encoding: 'utf8' })
  const found = /go(\d+)\.(\d+)/.exec(stdout ?? '')
  const [have = 0, of = 0] = found?.slice(1).map(Number) ?? []
  return (have < major || (have === major && of < minor)) && `Go ${have}.${of} is too old`
}

/**
 * Installs what is missing when we are root on Debian; else leaves it to `absent`.
 * Returns a line that says what was done, or nothing when nothing was missing.
 */
export function installClients(): string | undefined {
  const missing = Object.values(clients).filter(client => !existsSync(client.file))
  if (missing.length === 0) return undefined
  const names = missing.map(client => client.debian).join(' ')
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    return `not installed, their tests are skipped: ${names}`
  }
  const done = withoutServices(
    () => apt('update') && apt('install', '--no-install-recommends', ...names.split(' ')),
  )
  return done ? `installed ${names}` : `could not install: ${names}`
}

function apt(...words: string[]): boolean {
  const options = ['-qq', '-y', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3']
  const result = spawnSync('apt-get', [...options, ...words], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  })
  if (result.status !== 0) process.stderr.write(result.stderr ?? '')
  return result.status === 0
}

/** Debian's packages start their services unless this file forbids it. */
function withoutServices<T>(install: () => T): T {
  const policy = '/usr/sbin/policy-rc.d'
  if (existsSync(policy)) return install()
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return install()
  } finally {
    rmSync(policy)
  }
}
