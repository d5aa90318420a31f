/**
 * Forms of names that a later version serves: those of the mesh.
 *
 * They are known, so that whoever asks is told (NOTIMP) and does not take them for absent.
 */
import { defineDnsForm } from './declare.ts'

const KINDS: readonly string[] = ['connect', 'virtual', 'ingress']

export const laterForm = defineDnsForm<true>({
  name: 'not served yet',
  pattern: '<name>.{connect,virtual,ingress}[.<datacenter>[.dc]]',
  examples: [
    { ask: 'web.connect.consul SRV', gives: 'NOTIMP' },
    { ask: 'web.virtual.consul A', gives: 'NOTIMP' },
    { ask: 'web.virtual.other.peer.consul A', gives: 'NOTIMP' },
    { ask: 'web.ingress.dc1.consul A', gives: 'NOTIMP' },
  ],
  parse: ({ kind, before }) => (KINDS.includes(kind) && before.length > 0 ? true : undefined),
  answer: () => undefined,
  standsOn: () => [],
})
