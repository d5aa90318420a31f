/**
 * The words that a managed member is started with.
 *
 * Owns which flags of etcd we set, and why. Pure. No secret stands in a word: keys are in files
 * that only our user can read.
 */
import { isIPv6 } from 'node:net'
import { limits } from '../../../base/limits.ts'

/** Where a member listens, and what others call it by. */
export interface MemberSettings {
  /** Its name among the members: the id of its node. */
  readonly name: string
  /** The folder of its data. */
  readonly folder: string
  /** Addresses that it listens on. */
  readonly listen: readonly string[]
  /** The address that the others reach it at. */
  readonly advertise: string
  readonly peerPort: number
  readonly clientPort: number
  /** The size that its database may have before it takes no more writes. */
  readonly quotaSizeBytes: number
}

/** A member as the others know it; its name is the id of its node. */
export interface MemberPlace {
  readonly name: string
  /** `https://host:port`. */
  readonly peerUrl: string
}

/** A member as servers hear of it. */
export interface MemberAddress extends MemberPlace {
  /** `https://host:port`. */
  readonly clientUrl: string
}

/**
 * How it comes to its cluster: all members found it together, it was added to one that runs, or it
 * was there before and its data says all.
 */
export type MemberEntry =
  | { readonly kind: 'found'; readonly members: readonly MemberPlace[]; readonly token: string }
  | { readonly kind: 'added'; readonly members: readonly MemberPlace[] }
  | { readonly kind: 'known' }

/** Files with what it shows and whom it trusts, to clients and to other members alike. */
export interface MemberFiles {
  readonly cert: string
  readonly key: string
  readonly roots: string
}

/** `https://host:port`, an IPv6 address in brackets. */
export function memberUrl(host: string, port: number): string {
  return `https://${isIPv6(host) ? `[${host}]` : host}:${port}`
}

/** The URL that the other members reach this one at. */
export const peerUrlOf = ({ advertise, peerPort }: MemberSettings): string =>
  memberUrl(advertise, peerPort)

/** The URL that servers reach it at. */
export const clientUrlOf = ({ advertise, clientPort }: MemberSettings): string =>
  memberUrl(advertise, clientPort)

/** The flag by which a process of ours is known among all: nobody else has this folder. */
export const folderWord = (folder: string): string => `--data-dir=${folder}`

/** All words behind the program's path. `version` is etcd's own. */
export function memberWords(
  settings: MemberSettings,
  { cert, key, roots }: MemberFiles,
  entry: MemberEntry,
  version: string,
): string[] {
  const { name, folder, listen, peerPort, clientPort, quotaSizeBytes } = settings
  const all = (port: number): string => listen.map(host => memberUrl(host, port)).join(',')
  const members = entry.kind === 'known' ? [{ name, peerUrl: peerUrlOf(settings) }] : entry.members
  return [
    // First, since it is what we know the process by.
    folderWord(folder),
    `--name=${name}`,
    `--listen-peer-urls=${all(peerPort)}`,
    `--initial-advertise-peer-urls=${peerUrlOf(settings)}`,
    `--listen-client-urls=${all(clientPort)}`,
    `--advertise-client-urls=${clientUrlOf(settings)}`,
    `--initial-cluster=${members.map(one => `${one.name}=${one.peerUrl}`).join(',')}`,
    // `existing` also where the data says all: should it be gone, no second cluster is founded.
    `--initial-cluster-state=${entry.kind === 'found' ? 'new' : 'existing'}`,
    ...(entry.kind === 'found' ? [`--initial-cluster-token=${entry.token}`] : []),
    `--cert-file=${cert}`,
    `--key-file=${key}`,
    `--trusted-ca-file=${roots}`,
    '--client-cert-auth=true',
    `--peer-cert-file=${cert}`,
    `--peer-key-file=${key}`,
    `--peer-trusted-ca-file=${roots}`,
    '--peer-client-cert-auth=true',
    `--quota-backend-bytes=${quotaSizeBytes}`,
    // We say what is compacted, since we know how far back anybody reads.
    '--auto-compaction-retention=0',
    // A member that was cut off disturbs nobody when it comes back.
    '--pre-vote=true',
    '--enable-grpc-gateway=false',
    `--snapshot-count=${limits.memberSnapshotEntries}`,
    '--logger=zap',
    '--log-outputs=stderr',
    '--log-level=info',
    ...corruptionWords(version),
  ]
}

/** A member compares its data with the others' before it serves anybody. */
function corruptionWords(version: string): string[] {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major !== 3) return []
  if (minor < 6) return ['--experimental-initial-corrupt-check=true']
  // What is called a gate may be gone from a version that we have not seen: it would not start.
  return minor <= NEWEST_MINOR ? ['--feature-gates=InitialCorruptCheck=true'] : []
}

/** The newest line of etcd (3.x) whose flags are known. */
const NEWEST_MINOR = 7
