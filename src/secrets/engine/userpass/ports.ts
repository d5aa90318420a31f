/**
 * What logins ask of the server: handed in when the parts are joined.
 *
 * Owns the types. Threads and settings stay outside of the room.
 */
import type { PasswordHasher } from '../../../base/io/passwords.ts'
import type { LockoutSettings } from '../../lockout/lockout.ts'

export interface LoginPorts {
  readonly lockout: LockoutSettings
  readonly passwords: PasswordHasher
}
