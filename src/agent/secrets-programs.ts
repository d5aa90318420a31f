/**
 * Programs of PKI roles, in the language of the registry's conditions.
 *
 * Owns what the names of a program stand for: OpenBao's messages, the request, and what came
 * before.
 */

import { limits } from '../base/limits.ts'
import {
  ExpressionSpace,
  type FieldKind,
  type Planned,
  type SpaceNames,
} from '../identity/condition/space.ts'
import type { CelOutput, ProgramCompiler } from '../secrets/engine/pki/cel/row.ts'

const texts = (number: number): FieldKind => [number, 'string', 'many']
const many = (number: number, type: string): FieldKind => [number, type, 'many']

/** OpenBao's `openbao.pki`, as far as certificates can say what it says. */
const names: SpaceNames = {
  package: 'openbao.pki',
  messages: {
    PKIX: {},
    'PKIX.Name': {
      ...{ Country: texts(1), Organization: texts(2), OrganizationUnit: texts(3) },
      ...{ Locality: texts(4), Province: texts(5), StreetAddress: texts(6) },
      ...{ PostalCode: texts(7), SerialNumber: [8, 'string'], CommonName: [9, 'string'] },
    },
    'PKIX.Extension': { Id: many(1, 'int64'), Critical: [2, 'bool'], Value: [3, 'bytes'] },
    ObjectIdentifier: { arc: many(1, 'uint32') },
    OID: { arc: many(1, 'uint64') },
    net: {},
    'net.IP': { IP: [1, 'bytes'] },
    'net.IPNet': { IP: [1, 'net.IP'], Mask: [2, 'net.IPMask'] },
    'net.IPMask': { IPMask: [1, 'bytes'] },
    Userinfo: { username: [1, 'string'], password: [2, 'string'], password_set: [3, 'bool'] },
    url: {},
    'url.URL': {
      ...{ Scheme: [1, 'string'], Opaque: [2, 'string'], User: [3, 'Userinfo'] },
      ...{ Host: [4, 'string'], Path: [5, 'string'], RawPath: [6, 'string'] },
      ...{ OmitHost: [7, 'bool'], ForceQuery: [8, 'bool'], RawQuery: [9, 'string'] },
      ...{ Fragment: [10, 'string'], RawFragment: [11, 'string'] },
    },
    ValidationOutput: {
      ...{ template: [1, 'CertTemplate'], issuer_ref: [2, 'string'], use_pss: [3, 'bool'] },
      ...{ signature_bits: [4, 'uint32'], generate_lease: [5, 'bool'], no_store: [6, 'bool'] },
      ...{ warnings: texts(7), subject_key_id: [8, 'bytes'] },
      ...{ key_type: [9, 'string'], key_bits: [10, 'uint64'] },
    },
    CertTemplate: {
      ...{ Version: [1, 'int64'], Subject: [2, 'PKIX.Name'] },
      ...{
        NotBefore: [3, 'google.protobuf.Timestamp'],
        NotAfter: [4, 'google.protobuf.Timestamp'],
      },
      ...{ KeyUsage: [5, 'KeyUsage'], ExtraExtensions: many(6, 'PKIX.Extension') },
      ...{ ExtKeyUsage: many(7, 'ExtKeyUsage'), UnknownExtKeyUsage: many(8, 'ObjectIdentifier') },
      ...{ BasicConstraintsValid: [9, 'bool'], IsCA: [10, 'bool'] },
      ...{ MaxPathLen: [11, 'int64'], MaxPathLenZero: [12, 'bool'] },
      ...{ DNSNames: texts(14), EmailAddresses: texts(15) },
      ...{ IPAddresses: many(16, 'net.IP'), URIs: many(17, 'url.URL') },
      ...{ PermittedDNSDomainsCritical: [18, 'bool'] },
      ...{ PermittedDNSDomains: texts(19), ExcludedDNSDomains: texts(20) },
      ...{ PermittedIPRanges: many(21, 'net.IPNet'), ExcludedIPRanges: many(22, 'net.IPNet') },
      ...{ PermittedEmailAddresses: texts(23), ExcludedEmailAddresses: texts(24) },
      ...{ PermittedURIDomains: texts(25), ExcludedURIDomains: texts(26) },
      ...{ PolicyIdentifiers: many(27, 'ObjectIdentifier'), Policies: many(28, 'OID') },
    },
  },
  enums: {
    KeyUsage: [
      'KeyUsageUnspecified',
      'KeyUsageDigitalSignature',
      'KeyUsageContentCommitment',
      'KeyUsageKeyEncipherment',
      'KeyUsageDataEncipherment',
      'KeyUsageKeyAgreement',
      'KeyUsageCertSign',
      'KeyUsageCRLSign',
      'KeyUsageEncipherOnly',
      'KeyUsageDecipherOnly',
    ],
    ExtKeyUsage: [
      'ExtKeyUsageAny',
      'ExtKeyUsageServerAuth',
      'ExtKeyUsageClientAuth',
      'ExtKeyUsageCodeSigning',
      'ExtKeyUsageEmailProtection',
      'ExtKeyUsageIPSECEndSystem',
      'ExtKeyUsageIPSECTunnel',
      'ExtKeyUsageIPSECUser',
      'ExtKeyUsageTimeStamping',
      'ExtKeyUsageOCSPSigning',
      'ExtKeyUsageMicrosoftServerGatedCrypto',
      'ExtKeyUsageNetscapeServerGatedCrypto',
      'ExtKeyUsageMicrosoftCommercialCodeSigning',
      'ExtKeyUsageMicrosoftKernelCodeSigning',
    ],
  },
}

const space = new ExpressionSpace(names)
const OUTPUT = 'openbao.pki.ValidationOutput'
const LAST = 'expression'

/** Makes programs of roles runnable. */
export const programCompiler: ProgramCompiler = {
  compile({ variables = [], expression }) {
    const steps: (readonly [string, Planned])[] = []
    for (const one of [...variables, { name: LAST, expression }]) {
      const planned = space.plan(one.expression)
      if ('problem' in planned) {
        return `${one.name}: line ${planned.line}, column ${planned.column}: ${planned.problem}`
      }
      steps.push([one.name, planned] as const)
    }
    return {
      run({ request, nowMs, csr }) {
        const given = { request, now: new Date(nowMs), use_csr: csr !== undefined }
        const more = csr === undefined ? {} : { parsed_csr: csr }
        const outcome = space.run(steps, { ...given, ...more }, limits.celRoleSteps)
        if ('fault' in outcome) return `failed to evaluate cel_program: ${outcome.fault}`
        const { value } = outcome
        if (typeof value === 'string') return value
        if (typeof value === 'boolean') return 'request denied'
        const kind = (value as { readonly $typeName?: string } | undefined)?.$typeName
        return kind === OUTPUT
          ? (value as unknown as CelOutput)
          : `unexpected mainProgram result type ${kind ?? 'of no message'}`
      },
    }
  },
}
