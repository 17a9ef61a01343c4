import { expect } from 'chai'
import { resnet18, resnet18Factorised } from '../../bench/resnet.js'
import { costOf } from '../../lib/network/cost.js'
import type { Graph } from '../../lib/network/graph.js'

const lastMap = ({ tensors, ops }: Graph) => tensors[ops.find(({ name }) => name === 'head.mean')?.inputs[0] as string]

describe('residual networks of the benchmark', () => {
  it('ResNet-18 has the parameters and the multiply-accumulates that are known', () => {
    const { params, macs } = costOf(resnet18())
    expect(params).to.equal(11_689_512) // torchvision's resnet18
    expect(macs / 8 / 1e9).to.be.closeTo(1.814, 0.001) // 1.8 GFLOPs a frame in He et al. 2016, table 1
    expect(lastMap(resnet18())).to.deep.equal([8, 7, 7, 512])
  })

  it('R(2+1)D-18 has as many parameters as the 3D ResNet-18 that it factorises', () => {
    const { params } = costOf(resnet18Factorised())
    expect(params / 33_371_472).to.be.closeTo(1, 2e-3) // torchvision's r3d_18; the middle channels are rounded
    expect(lastMap(resnet18Factorised())).to.deep.equal([2, 7, 7, 512])
  })

  it('R(2+1)D-18 has the middle channels of Tran et al. 2018, section 3.5', () => {
    const { tensors } = resnet18Factorised()
    const middle = ['stages.0.0.first', 'stages.1.0.first', 'stages.1.0.second', 'stages.3.0.first'].map((name) => tensors[`${name}.spatial`]?.[3])
    expect(middle).to.deep.equal([144, 230, 288, 921])
  })
})
