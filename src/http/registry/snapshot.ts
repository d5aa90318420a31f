/**
 * `/v1/snapshot`: the whole store as one file, out and in.
 *
 * Owns how an archive goes over HTTP: in pieces both ways, never whole in memory, and with no head
 * sent before it is known that there will be one. What an archive is, is the store's.
 */

import { begun } from '../../base/begun.ts'
import { refuse } from '../../base/denied.ts'
import { access } from '../../base/who.ts'
import type { Snapshots } from '../../store/snapshot.ts'
import {
  acting,
  definePath,
  EMPTY,
  type Operation,
  type PathDeclaration,
  type StreamedReply,
} from '../declare.ts'
import { flag } from '../query.ts'

const TYPE = 'application/x-gzip'
const rights = () => [access('write', 'acl')]

/** The path of snapshots. */
export function snapshotPath(snapshots: Snapshots): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/snapshot',
    operations: { GET: saveOperation(snapshots), PUT: restoreOperation(snapshots) },
  })
}

function saveOperation(snapshots: Snapshots): Operation {
  return acting({
    summary: 'Everything that is kept, as one file.',
    query: { stale: flag('Of this server, even if it does not lead.') },
    body: undefined,
    answers: { 200: { stream: 'a gzipped tar', type: TYPE } },
    meta: true,
    access: rights,
    async run({ who, query }) {
      const refusal = refuse(who, rights())
      if (refusal !== undefined) return refusal
      if (!query.stale) await snapshots.confirm()
      return streamOf(snapshots)
    },
  })
}

/** Begins the archive before its head is sent: a store that is too large is a plain refusal. */
async function streamOf(snapshots: Snapshots): Promise<StreamedReply> {
  const index = snapshots.index()
  const archive = await begun(snapshots.save())
  const headers = {
    'X-Consul-Index': String(index),
    'X-Consul-KnownLeader': 'true',
    'X-Consul-LastContact': '0',
  }
  return { status: 200, type: TYPE, headers, parts: () => archive }
}

function restoreOperation(snapshots: Snapshots): Operation {
  return acting<Record<string, never>, AsyncIterable<Buffer>>({
    summary: 'Replaces everything that is kept by what a file holds.',
    query: {},
    body: { stream: 'What GET gave.' },
    answers: { 200: { empty: 'It is replaced.' } },
    access: rights,
    run: async ({ body, who }) => refuse(who, rights()) ?? (await snapshots.restore(body)) ?? EMPTY,
  })
}
