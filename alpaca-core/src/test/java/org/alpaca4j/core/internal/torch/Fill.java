package org.alpaca4j.core.internal.torch;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;

/** Sets all elements of a tensor of any dtype to a value. */
public final class Fill {
  private Fill() {}

  public static void with(NDArray array, double value) {
    try (NDManager scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE)) {
      Tensors.copy(array, scope.full(array.getShape(), (float) value));
    }
  }
}
