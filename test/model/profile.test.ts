import { expect } from 'chai'
import { fusedOps, layersOf } from '../../lib/model/profile.js'

describe('the ops fused into a stage', () => {
  it('are named by what their names do not share with the stage', () => {
    const ops = ['blocks.0.1.expand', 'blocks.0.1.expand.norm', 'blocks.0.1.gate.apply', 'add']
    expect(fusedOps({ name: 'blocks.0.1.expand', ops })).to.equal('norm, gate.apply, add')
  })

  it('keep the name of their layer in a band', () => {
    const ops = ['blocks.0.0.expand', 'blocks.0.0.expand.norm', 'blocks.0.0.activation', 'blocks.0.1.pointwise', 'blocks.0.1.pointwise.norm']
    expect(fusedOps({ name: 'blocks.0.0.expand ⇒ blocks.0.1.pointwise', ops })).to.equal('expand.norm, activation, pointwise.norm')
  })

  it('stand beside the layer of a band that they follow', () => {
    const ops = ['normalize', 'blocks.0.0.pointwise', 'blocks.0.0.pointwise.norm', 'blocks.0.0.activation', 'blocks.0.0.spatial', 'blocks.0.0.spatial.norm']
    expect(layersOf({ name: 'normalize ⇒ blocks.0.0.pointwise ⇒ blocks.0.0.spatial', ops, kernel: 'a ⇒ b ⇒ c' })).to.deep.equal([
      { name: 'normalize', fused: '', kernel: 'a' },
      { name: 'blocks.0.0.pointwise', fused: 'norm, activation', kernel: 'b' },
      { name: 'blocks.0.0.spatial', fused: 'norm', kernel: 'c' },
    ])
    expect(layersOf({ name: 'head', ops: ['head'], kernel: 'd' })).to.deep.equal([{ name: 'head', fused: '', kernel: 'd' }])
  })

  it('are none where nothing was fused', () => {
    expect(fusedOps({ name: 'normalize', ops: ['normalize'] })).to.equal('')
  })
})
