/**
 * What ACME's clients need around them: a server that gives certificates by it, names that lead to
 * the client, and openssl, which believes nobody.
 */
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { startUpstream } from '../dns/upstream.ts'
import { clientFile } from '../run/clients.ts'
import { type Server, serverAt } from '../secrets/engine/transit/vectors/server.ts'
import { tempFolder } from './process.ts'
import { startUnsealed } from './secrets.ts'

export interface AcmeServer {
  readonly server: Server
  /** Of its ACME below `pki/`: `of('roles/web')`. */
  of(place: string): string
  /** File of the root's certificate. */
  readonly rootFile: string
  /** Where a client puts TXT records, a file a name; a script for lego's `exec` puts them there. */
  readonly txtFolder: string
  readonly txtScript: string
  readonly dnsPort: number
  /** Fails unless the first certificate of a file is good, behind its chain. */
  verify(t: Test, file: string, more?: readonly string[]): void
}

/** Starts one. All names lead to `address`, where the client has ports 80 and 443 to itself. */
export async function startAcme(t: Test, address: string): Promise<AcmeServer> {
  const folder = tempFolder(t)
  const txtFolder = tempFolder(t)
  const dns = await startUpstream(t, query => {
    const { name = '', type = '' } = query.questions[0] ?? {}
    const file = path.join(txtFolder, name.toLowerCase().replace(/\.$/, ''))
    const base = { name, class: 1, ttlS: 1 } as const
    if (type === 'A') return { answers: [{ ...base, type, data: address }] }
    if (type !== 'TXT' || !existsSync(file)) return {}
    const texts = readFileSync(file, 'utf8').split('\n').filter(Boolean)
    return { answers: texts.map(text => ({ ...base, type, data: [text] })) }
  })
  const { address: at, token } = await startUnsealed(t, {
    words: ['-hcl=check_targets { allow = ["127.0.0.0/8"] }'],
  })
  const server = serverAt(at, token)
  await server.post('sys/mounts/pki', { type: 'pki', config: { max_lease_ttl: '8760h' } })
  const root = { common_name: 'Root', key_type: 'ec', ttl: '8760h' }
  const { certificate } = await server.post('pki/root/generate/internal', root)
  await server.post('pki/config/cluster', { path: `${at}/v1/pki`, aia_path: `${at}/v1/pki` })
  await server.post('pki/roles/web', { allow_any_name: true, key_type: 'any', ttl: '24h' })
  await server.post('pki/config/acme', {
    ...{ enabled: true, dns_resolver: `127.0.0.1:${dns.port}` },
    challenge_permitted_ip_ranges: '127.0.0.0/8',
  })
  const rootFile = path.join(folder, 'root.pem')
  writeFileSync(rootFile, `${certificate}\n`)
  const txtScript = path.join(folder, 'txt.sh')
  const script = `#!/bin/sh
name=$(echo "$2" | sed 's/[.]$//')
case "$1" in
  present) echo "$3" >> "${txtFolder}/$name" ;;
  cleanup) rm -f "${txtFolder}/$name" ;;
esac
`
  writeFileSync(txtScript, script, { mode: 0o755 })
  return {
    ...{ server, rootFile, txtFolder, txtScript, dnsPort: dns.port },
    of: place => `${at}/v1/pki/${place}${place === '' ? '' : '/'}acme/directory`,
    verify(t, file, more = []) {
      const words = ['verify', '-CAfile', rootFile, '-untrusted', file, ...more, file]
      const { status, stdout, stderr } = spawnSync(clientFile('openssl'), words, {
        encoding: 'utf8',
      })
      t.equal(status, 0, `openssl ${words.join(' ')}: ${stdout}${stderr}`)
    },
  }
}

/** An address of the loopback that nobody else is likely to use, with all its ports. */
export const ownAddress = (): string =>
  `127.${randomInt(64, 127)}.${randomInt(1, 255)}.${randomInt(1, 255)}`

/** Why ACME's clients cannot be tried here, for tap's `skip`: they need ports 80 and 443. */
export const notRoot = (): string | false =>
  process.getuid?.() !== 0 && 'ports 80 and 443 are root’s'
