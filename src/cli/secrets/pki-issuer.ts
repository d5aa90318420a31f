/**
 * Certificates of issuers as the verbs of pki look at them, and whether one signed another.
 *
 * Owns the five signs by which that is told, which are those of Vault's command line.
 */
import type { ParsedCertificate } from '../../x509/certificate.ts'
import { readCertificate } from '../../x509/certificate.ts'
import { pemBlocks } from '../../x509/pem.ts'
import type { SecretsClient } from './client.ts'
import { Failure, saying } from './failure.ts'
import { valueIn } from './secret.ts'

/** What stands at the path of an issuer. */
export interface IssuerRead {
  readonly certificate: ParsedCertificate
  readonly chain: readonly ParsedCertificate[]
  readonly keyId: string
  readonly name: string
}

/** Reads an issuer. Throws Failure where there is none, or it is not readable. */
export async function readIssuer(client: SecretsClient, path: string): Promise<IssuerRead> {
  const fault = `Failed to read issuer ${path}`
  const data = (await saying(fault, client.read(path), 1))?.data
  const [certificate] = certificatesIn(valueIn(data, 'certificate'), fault)
  if (certificate === undefined) throw new Failure(`${fault}: there is no certificate`, 1)
  const chain = valueIn(data, 'ca_chain')
  return {
    certificate,
    chain: (Array.isArray(chain) ? chain : []).flatMap(each => certificatesIn(each, fault)),
    keyId: String(valueIn(data, 'key_id') ?? ''),
    name: String(valueIn(data, 'issuer_name') ?? ''),
  }
}

function certificatesIn(text: unknown, fault: string): ParsedCertificate[] {
  try {
    return pemBlocks(String(text ?? '')).map(({ der }) => readCertificate(der))
  } catch (error) {
    throw new Failure(`${fault}: ${error instanceof Error ? error.message : 'unreadable'}`, 1)
  }
}

/** By which signs one certificate seems to have been issued by another. */
export interface Signs {
  readonly subject_match: boolean
  readonly path_match: boolean
  readonly trust_match: boolean
  readonly key_id_match: boolean
  readonly signature_match: boolean
}

/** Whether one certificate signed another, by name and by key. */
export function signsOf(issuer: IssuerRead, issued: IssuerRead, nowMs: number): Signs {
  const [above, below] = [issuer.certificate, issued.certificate]
  const isNamed = above.subject.equals(below.issuer)
  const isSigned = isNamed && above.isAuthority && below.verify(above.publicKey)
  return {
    subject_match: isNamed,
    path_match: issued.chain.some(each => each.der.equals(above.der)),
    // Its own issuer is trusted alone: one signature between them, and both good today.
    trust_match: (isSigned || above.der.equals(below.der)) && [above, below].every(isGood(nowMs)),
    key_id_match: sameId(below.authorityKeyId, above.subjectKeyId),
    signature_match: isSigned,
  }
}

const isGood =
  (nowMs: number) =>
  ({ notBefore, notAfter }: ParsedCertificate): boolean =>
    notBefore.getTime() <= nowMs && nowMs <= notAfter.getTime()

const sameId = (one: Buffer | undefined, other: Buffer | undefined): boolean =>
  (one ?? Buffer.alloc(0)).equals(other ?? Buffer.alloc(0))

/** Whether it signed itself. */
export const isRoot = (certificate: ParsedCertificate): boolean =>
  certificate.subject.equals(certificate.issuer) && certificate.verify(certificate.publicKey)
