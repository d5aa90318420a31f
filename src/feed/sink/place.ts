/**
 * Addresses of instances, as targets take them. They are what somebody registered, so they are
 * looked at before they stand in anything: `/run/docker.sock` is an address to some programs.
 *
 * Owns what counts as an address, a host name and a port. Pure.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import type { Instance } from './state.ts'

/**
 * An IP address without a zone, else undefined; in its one form (RFC 5952), since what a target
 * says it has is held against it.
 */
export function ipOf(address: string): string | undefined {
  if (isIPv4(address)) return address
  if (!isIPv6(address) || address.includes('%')) return undefined
  return new SocketAddress({ address, family: 'ipv6' }).address
}

/** A host as it stands before a port: an IPv6 address in brackets. */
export const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host)

/** An IP address or a host name of letters, digits, dots, hyphens and underscores. */
export function hostOf(address: string): string | undefined {
  return ipOf(address) ?? (HOST.test(address) && !ONLY_DIGITS.test(address) ? address : undefined)
}

const HOST = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*$/i

/** Forms of IPv4 that some programs read as one, such as `0177.1` or `2130706433`. */
const ONLY_DIGITS = /(^|\.)(0x[0-9a-f]*|[0-9]+)$/i

/** Whether something is a port that can be connected to. */
export const isPort = (port: number): boolean => port >= 1 && port <= 65_535

/** An instance for people, whatever its names hold. */
export const shownInstance = ({ node, id }: Pick<Instance, 'node' | 'id'>): string =>
  `${shown(id)} on node ${shown(node)}`

/** A text that somebody else chose, for people: quoted, and no longer than it needs to be. */
export function shown(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text
  return JSON.stringify(short.toWellFormed()).replaceAll(/[\u007f-\u009f\u2028-\u202e]/g, '?')
}

/** Where something listens. */
export interface Place {
  readonly host: string
  readonly port: number
}

/** Reads `host:port` and `[::1]:port`; undefined where it is nothing of that form. */
export function parsePlace(text: string): Place | undefined {
  const [, inner, plain, digits] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text) ?? []
  const host = hostOf(inner ?? plain ?? '')
  const port = Number(digits)
  return host === undefined || !isPort(port) ? undefined : { host, port }
}
