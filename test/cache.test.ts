import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { cacheDirectory } from '../lib/cache.js'

describe('cacheDirectory', () => {
  const environment = { TVN_CACHE_DIR: process.env.TVN_CACHE_DIR, XDG_CACHE_HOME: process.env.XDG_CACHE_HOME }
  afterEach(() => {
    for (const [name, value] of Object.entries(environment)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })

  it('is what is asked for, else what the environment says', () => {
    process.env.TVN_CACHE_DIR = '/somewhere'
    expect(cacheDirectory('/here')).to.equal('/here')
    expect(cacheDirectory()).to.equal('/somewhere')
    process.env.TVN_CACHE_DIR = ''
    process.env.XDG_CACHE_HOME = '/xdg'
    if (process.platform === 'linux') {
      expect(cacheDirectory()).to.equal('/xdg/tiny-video-nets')
      process.env.XDG_CACHE_HOME = 'relative is invalid'
      expect(cacheDirectory()).to.equal(path.join(os.homedir(), '.cache', 'tiny-video-nets'))
    } else {
      expect(cacheDirectory()).to.match(/tiny-video-nets$/)
    }
  })
})
