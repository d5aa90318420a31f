/** HAProxy's servers as far as our commands touch them: for plans, and behind a socket. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import path from 'node:path'
import type { Test } from 'tap'
import type { ServerRow } from '../../../../src/feed/sink/haproxy-runtime/rows.ts'
import { tempFolder } from '../../../clients/process.ts'

/** A server; its mode follows from what it was told and from its health. */
class Server {
  readonly backend: string
  readonly name: string
  address: string
  port: number
  weight: number
  sessions: number
  state: 'ready' | 'drain' | 'maint'
  isHealthy: boolean

  constructor(row: ServerRow) {
    this.backend = row.backend
    this.name = row.name
    this.address = row.address
    this.port = row.port
    this.weight = row.weight
    this.sessions = row.sessions
    this.state = row.mode === 'down' ? 'ready' : row.mode
    this.isHealthy = row.mode !== 'down'
  }

  get mode(): ServerRow['mode'] {
    return this.state === 'ready' && !this.isHealthy ? 'down' : this.state
  }
}

const HEADER =
  '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port'

export class Model {
  rows: Server[]
  readonly backends: Set<string>
  process = 1
  /** Commands that it refuses. */
  refuses: RegExp = /^$never/
  /** All that would change something, in order. */
  readonly commands: string[] = []

  constructor(rows: readonly ServerRow[], backends: readonly string[] = []) {
    this.rows = rows.map(row => new Server(row))
    this.backends = new Set([...backends, ...rows.map(({ backend }) => backend)])
  }

  /** Its answer to one command. */
  run(command: string): string {
    const [verb = '', what = '', name = '', word = '', value = '', , port = ''] = command.split(' ')
    if (verb === 'show') return this.#show(command)
    this.commands.push(command)
    if (this.refuses.test(command)) return 'refused\n\n'
    const row = this.rows.find(one => `${one.backend}/${one.name}` === name)
    if (verb === 'add') return this.#add(name, word, command)
    if (row === undefined) return 'No such server.\n\n'
    if (verb === 'del') {
      if (row.mode !== 'maint') return 'Only servers in maintenance mode can be deleted.\n'
      if (row.sessions > 0) return 'Server still has connections attached to it.\n'
      this.rows.splice(this.rows.indexOf(row), 1)
      return 'Server deleted.\n'
    }
    if (verb === 'enable' && what === 'health') return '\n'
    if (word === 'weight') row.weight = Number(value)
    else if (word === 'state') row.state = value as 'ready'
    else if (word === 'health') row.isHealthy = value === 'up'
    else {
      const before = row.address
      Object.assign(row, { address: value, port: Number(port) })
      return `IP changed from '${before}' to '${value}' by 'stats socket command'\n\n`
    }
    return '\n'
  }

  #add(name: string, place: string, command: string): string {
    const [backend = '', server = ''] = name.split('/')
    const [, address = '', port] = /^\[?(.*?)\]?:(\d+)$/.exec(place) ?? []
    const weight = Number(/ weight (\d+)/.exec(command)?.[1])
    const added = { address, port: Number(port), mode: 'maint' as const, weight, sessions: 0 }
    this.rows.push(new Server({ backend, name: server, ...added }))
    return 'New server registered.\n\n'
  }

  #show(command: string): string {
    if (command === 'show info') return `Name: HAProxy\nPid: ${this.process}\n\n`
    if (command === 'show backend') return `# name\n${[...this.backends].join('\n')}\n\n`
    if (command.startsWith('show stat ')) {
      const lines = this.rows.map(one => `${one.backend},${one.name},0,0,${one.sessions},`)
      return `# pxname,svname,qcur,qmax,scur,\n${lines.join('\n')}\n\n`
    }
    const admin = { maint: 1, drain: 8, ready: 0, down: 0 }
    const lines = this.rows.map(one =>
      [
        ...['3', one.backend, '1', one.name, one.address],
        ...[one.mode === 'down' || one.mode === 'maint' ? 0 : 2, admin[one.mode]],
        ...[one.weight, one.port],
      ].join(' '),
    )
    return `1\n${HEADER}\n${lines.join('\n')}\n\n`
  }

  /** Serves it on a socket in a file, whose path is given back. */
  async listen(t: Test): Promise<string> {
    const file = path.join(tempFolder(t), 'haproxy.sock')
    const server = createServer(socket => {
      socket.setEncoding('utf8')
      socket.on('error', () => {})
      let text = ''
      socket.on('data', part => {
        text += part
        if (text.includes('\n')) socket.end(this.run(text.trim()))
      })
    })
    server.listen(file)
    await once(server, 'listening')
    t.teardown(() => server.close())
    return file
  }
}
