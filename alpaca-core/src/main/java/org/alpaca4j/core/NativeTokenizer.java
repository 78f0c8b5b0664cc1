package org.alpaca4j.core;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * Hugging Face's own tokenizer, in native memory. Thread-safe; calls after {@link #close} are
 * refused.
 */
final class NativeTokenizer implements AutoCloseable {
  private static final TokenizersLibrary NATIVE = TokenizersLibrary.LIB;

  private final Path folder;
  private final HuggingFaceTokenizer hf;
  private final long handle;
  // Closing waits for the calls that are under way: freeing the native tokenizer under them would
  // take the JVM down.
  private final ReentrantReadWriteLock lifetime = new ReentrantReadWriteLock();
  private boolean closed;

  /**
   * Makes a tokenizer.
   *
   * @param folder of the checkpoint, for messages
   * @throws TokenizerException if the library refuses the file
   */
  NativeTokenizer(TokenizerJson json, Path folder) {
    this.folder = folder;
    try {
      hf =
          HuggingFaceTokenizer.newInstance(
              new ByteArrayInputStream(json.bytes),
              Map.of("truncation", "false", "padding", "false"));
    } catch (IOException | RuntimeException e) {
      throw new TokenizerException(
          folder.resolve(TokenizerFiles.TOKENIZER)
              + ": the tokenizers library refuses it: "
              + e.getMessage(),
          e);
    }
    handle = hf.getHandle();
  }

  /** Reads what a call is asked for from a native encoding. */
  interface Reader<T> {
    T read(long encoding);
  }

  <T> T encode(String text, boolean addSpecialTokens, Reader<T> reader) {
    requirePairedSurrogates(text);
    Lock lock = open();
    try {
      long encoding = NATIVE.encode(handle, text, addSpecialTokens);
      try {
        return reader.read(encoding);
      } finally {
        NATIVE.deleteEncoding(encoding);
      }
    } finally {
      lock.unlock();
    }
  }

  String decode(long[] ids, boolean skipSpecialTokens) {
    Lock lock = open();
    try {
      return NATIVE.decode(handle, ids, skipSpecialTokens);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    lifetime.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        hf.close();
      }
    } finally {
      lifetime.writeLock().unlock();
    }
  }

  private Lock open() {
    Lock lock = lifetime.readLock();
    lock.lock();
    if (closed) {
      lock.unlock();
      throw new IllegalStateException("the tokenizer of " + folder + " is closed");
    }
    return lock;
  }

  // The native library would silently turn half a character into three replacement characters.
  private static void requirePairedSurrogates(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        if (Character.isHighSurrogate(c)
            && i + 1 < text.length()
            && Character.isLowSurrogate(text.charAt(i + 1))) {
          i++;
        } else {
          throw new TokenizerException(
              String.format(
                  "the text has half a character (unpaired surrogate \\u%04x) at index %d;"
                      + " it was cut or badly escaped",
                  (int) c, i));
        }
      }
    }
  }

  static int[] ids(long encoding) {
    long[] wide = NATIVE.getTokenIds(encoding);
    int[] ids = new int[wide.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = (int) wide[i];
    }
    return ids;
  }

  static Encoding encoding(long encoding) {
    int[] ids = ids(encoding);
    int[] starts = new int[ids.length];
    int[] ends = new int[ids.length];
    boolean[] special = new boolean[ids.length];
    CharSpan[] spans = NATIVE.getTokenCharSpans(encoding);
    long[] mask = NATIVE.getSpecialTokenMask(encoding);
    for (int i = 0; i < ids.length; i++) {
      if (spans[i] != null) {
        starts[i] = spans[i].getStart();
        ends[i] = spans[i].getEnd();
      }
      special[i] = mask[i] != 0;
    }
    return new Encoding(ids, starts, ends, special);
  }
}
