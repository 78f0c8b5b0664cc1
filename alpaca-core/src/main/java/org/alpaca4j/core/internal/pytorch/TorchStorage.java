package org.alpaca4j.core.internal.pytorch;

import org.alpaca4j.core.DType;

/**
 * The bytes that one or more tensors view, as a pickle names them.
 *
 * @param key its name in the file
 * @param dtype the type of its elements; of an untyped storage, U8
 * @param elements how many it claims to have
 * @param viewOffset the first element that tensors may see: not 0 only for the storage views of the
 *     oldest files
 * @param viewElements how many they may see
 */
public record TorchStorage(
    String key, DType dtype, long elements, long viewOffset, long viewElements) {

  /** Returns its claimed length; the claim is at most {@link Long#MAX_VALUE}. */
  public long bytes() {
    return elements * dtype.bytes();
  }
}
