/**
 * Authorities of tests: mounts with issuers, and OpenSSL as the judge of what they give.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Test } from 'tap'
import { openssl, verdict } from '../../../x509/openssl.ts'
import { openSecrets, type SecretsOptions, type TestSecrets } from '../../harness.ts'

/** Secrets with the engine mounted at `pki/`, with bounds that let roots live for ten years. */
export async function openAuthority(t: Test, options: SecretsOptions = {}): Promise<TestSecrets> {
  const secrets = await openSecrets(t, options)
  await mountAuthority(secrets, 'pki/')
  return secrets
}

const TEN_YEARS_MS = 10 * 365 * 86_400_000

/** One more mount of the engine. */
export const mountAuthority = (secrets: TestSecrets, at: string): Promise<void> =>
  secrets.mount('pki', at, {
    config: { defaultLeaseTtlMs: 0, maxLeaseTtlMs: TEN_YEARS_MS, forceNoCache: false },
  })

/** Files that OpenSSL reads, gone when the test is over. */
export class Files {
  readonly folder: string
  #count = 0

  constructor(t: Test) {
    this.folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-pki-'))
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }))
  }

  /** Where a text lies. */
  file(text: string | Buffer): string {
    const at = path.join(this.folder, `${++this.#count}`)
    writeFileSync(at, text)
    return at
  }

  /** What OpenSSL prints of a certificate. */
  shown(certificate: string): string {
    return openssl('x509', '-noout', '-text', '-in', this.file(certificate))
  }

  /** What OpenSSL says of a certificate: `OK`, or why not. */
  verdict(
    certificate: string,
    { roots, between = [] }: { readonly roots: string[]; readonly between?: string[] },
  ): string {
    const said = verdict(
      '-x509_strict',
      ...['-CAfile', this.file(roots.join('\n'))],
      ...(between.length === 0 ? [] : ['-untrusted', this.file(between.join('\n'))]),
      this.file(certificate),
    )
    return / OK$/m.test(said) ? 'OK' : said
  }
}
