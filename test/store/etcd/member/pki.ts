/**
 * A root and leaves as the agents' CA makes them for members, for tests.
 */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'

interface MemberIdentity {
  pems(): MemberPems
  follow(changed: () => void): () => void
}

import { TlsMaterial } from '../../../../src/base/tls.ts'
import type { MemberPems } from '../../../../src/store/etcd/member/folder.ts'
import { issueCertificate } from '../../../../src/x509/own.ts'

const DAY_MS = 86_400_000

/** An authority that signs members' leaves. */
export class Root {
  readonly pem: string
  readonly #key: KeyObject

  constructor() {
    const { privateKey, publicKey } = keys()
    this.#key = privateKey
    this.pem = issueCertificate(
      { ...content(publicKey), isAuthority: true, usages: ['keyCertSign', 'cRLSign'] },
      { certificate: undefined, key: privateKey },
    )
  }

  /** A leaf for a member on this machine; `roots` are trusted beside this one. */
  leaf(...roots: Root[]): MemberPems {
    const { privateKey, publicKey } = keys()
    const cert = issueCertificate(
      {
        ...content(publicKey),
        usages: ['digitalSignature'],
        extendedUsages: ['serverAuth', 'clientAuth'],
        dnsNames: ['localhost'],
        addresses: ['127.0.0.1'],
      },
      { certificate: this.pem, key: this.#key },
    )
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    return { cert, key, roots: [this.pem, ...roots.map(({ pem }) => pem)].join('') }
  }
}

/** How whoever has these gets in. */
export const accessOf = ({ cert, key, roots }: MemberPems) => ({
  material: () =>
    new TlsMaterial({ cert: Buffer.from(cert), key: Buffer.from(key), ca: [Buffer.from(roots)] }),
})

/** An identity that tests renew. */
export class TestIdentity implements MemberIdentity {
  #pems: MemberPems
  readonly #followers = new Set<() => void>()

  constructor(pems: MemberPems) {
    this.#pems = pems
  }

  pems(): MemberPems {
    return this.#pems
  }

  follow(changed: () => void): () => void {
    this.#followers.add(changed)
    return () => void this.#followers.delete(changed)
  }

  renew(pems: MemberPems): void {
    this.#pems = pems
    for (const changed of this.#followers) changed()
  }
}

const keys = (): { privateKey: KeyObject; publicKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' })

const content = (publicKey: KeyObject) => ({
  subject: [['CN', 'gatehouse test']] as const,
  publicKey,
  serial: randomBytes(8),
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Date.now() + DAY_MS),
  isAuthority: false,
  usages: [] as const,
  extendedUsages: [] as const,
  dnsNames: [] as readonly string[],
  addresses: [] as readonly string[],
  uris: [] as readonly string[],
  permittedDomains: [],
})
