/**
 * All kinds of audit devices.
 *
 * Owns the list: one that is not in it does not exist.
 */
import type { DeviceKind } from '../device.ts'
import { fileDevice } from './file.ts'
import { httpDevice } from './http.ts'
import { socketDevice } from './socket.ts'
import { syslogDevice } from './syslog.ts'

export const deviceKinds: readonly DeviceKind[] = [
  fileDevice,
  socketDevice,
  syslogDevice,
  httpDevice,
]
