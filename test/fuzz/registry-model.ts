/**
 * What Consul's documentation says of catalog, sessions and key/value store, as plainly as it can
 * be said: maps, and every consequence looked for in all of them. Nothing of src/registry is used.
 */

/** A row as the model keeps it: the fields that matter, and the indexes that clients see. */
export interface Entry {
  readonly row: Fields
  readonly createIndex: number
  readonly modifyIndex: number
}

export type Fields = Readonly<Record<string, unknown>>

export const TABLES = ['nodes', 'services', 'checks', 'sessions', 'kv', 'lock-delays'] as const
export type TableName = (typeof TABLES)[number]

/** What a step answers: a value, or that it was refused. */
export type Outcome = boolean | 'refused'

interface Change {
  readonly table: TableName
  readonly key: string
  readonly row: Fields | undefined
}

/** The one service that nodes may have, under this id and name. */
export const SERVICE = 'web'

const on = (node: string, id: string): string => `${node}|${id}`

export interface Put {
  readonly key: string
  readonly value: string
  readonly flags: number
  readonly cas?: number
  readonly acquire?: string
  readonly release?: string
}

export interface Session {
  readonly id: string
  readonly node: string
  readonly checks: readonly string[]
  readonly behavior: string
  readonly lockDelayMs: number
}

export interface Registered {
  readonly node: string
  readonly address: string
  readonly tags?: readonly string[]
  readonly check?: { readonly id: string; readonly status: string; readonly ofService: boolean }
}

export class RegistryModel {
  readonly tables = new Map(TABLES.map(name => [name, new Map<string, Entry>()]))
  index = 0

  get(table: TableName, key: string): Entry | undefined {
    return this.tables.get(table)!.get(key)
  }

  #rows(table: TableName): [string, Fields][] {
    return [...this.tables.get(table)!].map(([key, { row }]) => [key, row])
  }

  /** One transaction: what says nothing new changes nothing, and then no index moves. */
  #commit(changes: readonly Change[]): void {
    const last = new Map(changes.map(change => [`${change.table} ${change.key}`, change]))
    const effective = [...last.values()].filter(
      ({ table, key, row }) => JSON.stringify(this.get(table, key)?.row) !== JSON.stringify(row),
    )
    if (effective.length === 0) return
    this.index++
    for (const { table, key, row } of effective) {
      const createIndex = this.get(table, key)?.createIndex ?? this.index
      if (row === undefined) this.tables.get(table)!.delete(key)
      else this.tables.get(table)!.set(key, { row, createIndex, modifyIndex: this.index })
    }
  }

  put({ key, value, flags, cas, acquire, release }: Put): Outcome {
    const existing = this.get('kv', key)
    const holder = existing?.row.session ?? ''
    let session = holder
    let lockIndex = 0
    if (acquire !== undefined) {
      if (this.get('sessions', acquire) === undefined) return 'refused'
      if (holder !== '' && holder !== acquire) return false
      if (holder === '' && this.get('lock-delays', key) !== undefined) return false
      session = acquire
      lockIndex = Number(existing?.row.lockIndex ?? 0) + (holder === acquire ? 0 : 1)
    } else if (release !== undefined) {
      if (release === '') return 'refused'
      if (holder !== release) return false
      session = ''
      lockIndex = Number(existing?.row.lockIndex)
    } else if (cas !== undefined && cas !== (existing?.modifyIndex ?? 0)) return false
    this.#commit([{ table: 'kv', key, row: { value, flags, session, lockIndex } }])
    return true
  }

  delete(key: string, cas?: number): Outcome {
    const existing = this.get('kv', key)
    if (existing !== undefined && cas !== undefined && cas !== existing.modifyIndex) return false
    this.#commit([{ table: 'kv', key, row: undefined }])
    return true
  }

  deleteTree(prefix: string): Outcome {
    const keys = this.#rows('kv').map(([key]) => key)
    const under = keys.filter(key => key.startsWith(prefix))
    this.#commit(under.map(key => ({ table: 'kv', key, row: undefined })))
    return true
  }

  createSession({ id, node, checks, behavior, lockDelayMs }: Session): Outcome {
    const statuses = checks.map(check => this.get('checks', on(node, check))?.row.status)
    const isWell = statuses.every(status => status !== undefined && status !== 'critical')
    if (this.get('nodes', node) === undefined || !isWell) return 'refused'
    const row = { id, node, checks, behavior, lockDelayMs }
    this.#commit([{ table: 'sessions', key: id, row }])
    return true
  }

  endSession(id: string): Outcome {
    const isThere = this.get('sessions', id) !== undefined
    this.#commit(this.#ends(row => row.id === id))
    return isThere
  }

  endLockDelay(key: string): void {
    this.#commit([{ table: 'lock-delays', key, row: undefined }])
  }

  /** What ends with the sessions that are meant. */
  #ends(isMeant: (session: Fields) => boolean): Change[] {
    const ending = this.#rows('sessions').filter(([, row]) => isMeant(row))
    return ending.flatMap(([id, { behavior, lockDelayMs }]) => [
      { table: 'sessions' as const, key: id, row: undefined },
      ...this.#rows('kv')
        .filter(([, { session }]) => session === id)
        .flatMap(([key, row]): Change[] => {
          const freed = behavior === 'delete' ? undefined : { ...row, session: '' }
          const delay: Change = { table: 'lock-delays', key, row: { delayMs: lockDelayMs } }
          return [{ table: 'kv', key, row: freed }, ...(lockDelayMs === 0 ? [] : [delay])]
        }),
    ])
  }

  register({ node, address, tags, check }: Registered): Outcome {
    const stored = this.get('services', on(node, SERVICE))?.row.tags
    const tagsNow = tags ?? stored
    if (check?.ofService === true && tagsNow === undefined) return 'refused'
    const changes: Change[] = [{ table: 'nodes', key: node, row: { address } }]
    if (tags !== undefined) {
      changes.push({ table: 'services', key: on(node, SERVICE), row: { tags } })
      for (const [key, row] of this.#rows('checks')) {
        if (key.startsWith(on(node, '')) && row.service === SERVICE) {
          changes.push({ table: 'checks', key, row: { ...row, tags } })
        }
      }
    }
    if (check !== undefined) {
      const { id, status, ofService } = check
      const of = ofService ? { service: SERVICE, tags: tagsNow } : { service: '', tags: [] }
      const key = on(node, id)
      const row = { status, ...of }
      const isNew = JSON.stringify(this.get('checks', key)?.row) !== JSON.stringify(row)
      changes.push({ table: 'checks', key, row })
      if (isNew && status === 'critical') changes.push(...this.#endsOn(node, id))
    }
    this.#commit(changes)
    return true
  }

  #endsOn(node: string, check: string): Change[] {
    return this.#ends(row => row.node === node && (row.checks as string[]).includes(check))
  }

  #dropCheck(node: string, check: string): Change[] {
    const isThere = this.get('checks', on(node, check)) !== undefined
    return isThere
      ? [{ table: 'checks', key: on(node, check), row: undefined }, ...this.#endsOn(node, check)]
      : []
  }

  deregisterCheck(node: string, check: string): Outcome {
    this.#commit(this.#dropCheck(node, check))
    return true
  }

  deregisterService(node: string): Outcome {
    const checks = this.#rows('checks').filter(
      ([key, { service }]) => key.startsWith(on(node, '')) && service === SERVICE,
    )
    this.#commit([
      { table: 'services', key: on(node, SERVICE), row: undefined },
      ...checks.flatMap(([key]) => this.#dropCheck(node, key.slice(on(node, '').length))),
    ])
    return true
  }

  deregisterNode(node: string): Outcome {
    const under = (['services', 'checks'] as const).flatMap(table =>
      this.#rows(table)
        .filter(([key]) => key.startsWith(on(node, '')))
        .map(([key]): Change => ({ table, key, row: undefined })),
    )
    const ends = this.#ends(row => row.node === node)
    this.#commit([{ table: 'nodes', key: node, row: undefined }, ...under, ...ends])
    return true
  }
}
