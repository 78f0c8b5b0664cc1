package org.alpaca4j.core;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Writes SentencePiece models field by field. */
final class SentencePieceModels {
  /** Number of pieces of {@link #hello}. */
  static final int HELLO_SIZE = 270;

  private final ByteArrayOutputStream model = new ByteArrayOutputStream();
  private final ByteArrayOutputStream trainer = new ByteArrayOutputStream();
  private final ByteArrayOutputStream normalizer = new ByteArrayOutputStream();

  /** A BPE model that keeps white space, as Llama's; no pieces yet. */
  SentencePieceModels() {
    number(trainer, 3, 2);
    number(normalizer, 4, 0);
  }

  /** unk, bos, eos, all bytes, and pieces that make "▁hello" and "▁he". */
  static SentencePieceModels hello() {
    SentencePieceModels model = new SentencePieceModels().trainer(35, 1);
    model.piece("<unk>", 0, 2).piece("<s>", 0, 3).piece("</s>", 0, 3);
    for (int value = 0; value < 256; value++) {
      model.piece(String.format("<0x%02X>", value), 0, 6);
    }
    String[] merged = {"he", "ll", "hell", "\u2581he", "hello", "\u2581hello"};
    for (int i = 0; i < merged.length; i++) {
      model.piece(merged[i], -i, 1);
    }
    for (String character : "\u2581 h e l o".split(" ")) {
      model.piece(character, -100, 1);
    }
    return model;
  }

  SentencePieceModels piece(String text, float score, int type) {
    ByteArrayOutputStream piece = new ByteArrayOutputStream();
    bytes(piece, 1, text.getBytes(StandardCharsets.UTF_8));
    varint(piece, 2 << 3 | 5);
    piece.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(score).array());
    number(piece, 3, type);
    bytes(model, 1, piece.toByteArray());
    return this;
  }

  SentencePieceModels trainer(int field, long value) {
    number(trainer, field, value);
    return this;
  }

  SentencePieceModels normalizer(int field, long value) {
    number(normalizer, field, value);
    return this;
  }

  SentencePieceModels characterMap(byte[] map) {
    bytes(normalizer, 2, map);
    return this;
  }

  byte[] toBytes() {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    all.writeBytes(model.toByteArray());
    bytes(all, 2, trainer.toByteArray());
    bytes(all, 3, normalizer.toByteArray());
    return all.toByteArray();
  }

  private static void number(ByteArrayOutputStream out, int field, long value) {
    varint(out, (long) field << 3);
    varint(out, value);
  }

  private static void bytes(ByteArrayOutputStream out, int field, byte[] value) {
    varint(out, (long) field << 3 | 2);
    varint(out, value.length);
    out.writeBytes(value);
  }

  private static void varint(ByteArrayOutputStream out, long value) {
    long left = value;
    while ((left & ~0x7fL) != 0) {
      out.write((int) (left & 0x7f | 0x80));
      left >>>= 7;
    }
    out.write((int) left);
  }
}
