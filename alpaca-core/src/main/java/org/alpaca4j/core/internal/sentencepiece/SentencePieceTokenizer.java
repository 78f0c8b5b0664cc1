package org.alpaca4j.core.internal.sentencepiece;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.TokenizerException;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Piece;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Type;

/**
 * Writes a SentencePiece BPE model as Hugging Face's {@code tokenizer.json} and {@code
 * tokenizer_config.json}, in the form in which Llama 2 is published and in which transformers 4
 * converts {@code LlamaTokenizer} (its "legacy" behaviour): the normaliser puts U+2581 before the
 * text and in place of spaces, there is no pre-tokenizer, unknown characters become bytes.
 *
 * <p>Ids are SentencePiece's own, but for texts of special tokens, which become those tokens here.
 */
public final class SentencePieceTokenizer {
  private static final String SPACE = "\u2581";
  private static final BigInteger NO_MAX_LENGTH = new BigInteger("1000000000000000019884624838656");

  private final SentencePieceModel model;

  /** Wraps a model. */
  public SentencePieceTokenizer(SentencePieceModel model) {
    this.model = model;
  }

  /**
   * Returns the text of a {@code tokenizer.json}, UTF-8.
   *
   * @param addBos whether its template puts the begin-of-sequence token before a text
   * @param addEos whether its template puts the end-of-sequence token after a text
   * @param origin names the model in errors
   */
  public byte[] tokenizerJson(boolean addBos, boolean addEos, String origin) {
    List<Merges.Merge> merges = Merges.of(model.pieces(), origin);
    return json(
        out -> {
          out.writeStartObject();
          out.writeStringField("version", "1.0");
          out.writeNullField("truncation");
          out.writeNullField("padding");
          out.writeArrayFieldStart("added_tokens");
          for (int id = 0; id < model.pieces().size(); id++) {
            if (isAdded(model.pieces().get(id))) {
              out.writeStartObject();
              out.writeNumberField("id", id);
              writeAddedToken(out, model.pieces().get(id));
              out.writeEndObject();
            }
          }
          out.writeEndArray();
          writeNormalizer(out);
          out.writeNullField("pre_tokenizer");
          writePostProcessor(out, addBos ? model.bos() : "", addEos ? model.eos() : "");
          writeDecoder(out);
          writeModel(out, merges);
          out.writeEndObject();
        });
  }

  /** Returns the text of a {@code tokenizer_config.json}, UTF-8. */
  public byte[] configJson() {
    return json(
        out -> {
          out.useDefaultPrettyPrinter();
          out.writeStartObject();
          out.writeBooleanField("add_bos_token", !model.bos().isEmpty());
          out.writeBooleanField("add_eos_token", false);
          out.writeObjectFieldStart("added_tokens_decoder");
          for (int id = 0; id < model.pieces().size(); id++) {
            if (isAdded(model.pieces().get(id))) {
              out.writeObjectFieldStart(Integer.toString(id));
              writeAddedToken(out, model.pieces().get(id));
              out.writeEndObject();
            }
          }
          out.writeEndObject();
          writeRole(out, "bos_token", model.bos());
          out.writeBooleanField("clean_up_tokenization_spaces", false);
          writeRole(out, "eos_token", model.eos());
          out.writeBooleanField("legacy", true);
          out.writeFieldName("model_max_length");
          out.writeNumber(NO_MAX_LENGTH);
          writeRole(out, "pad_token", model.pad());
          out.writeStringField("tokenizer_class", "LlamaTokenizer");
          writeRole(out, "unk_token", model.unknown());
          out.writeEndObject();
        });
  }

  private interface Body {
    void write(JsonGenerator out) throws IOException;
  }

  private static byte[] json(Body body) {
    // By way of a String: some versions of Jackson write characters beyond the BMP as bytes that
    // are no UTF-8.
    StringWriter text = new StringWriter();
    try (JsonGenerator out = new JsonFactory().createGenerator(text)) {
      body.write(out);
    } catch (IOException e) {
      throw new TokenizerException("cannot write the tokenizer as JSON: " + e.getMessage(), e);
    }
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static boolean isAdded(Piece piece) {
    return switch (piece.type()) {
      case UNKNOWN, CONTROL, USER_DEFINED -> true;
      default -> false;
    };
  }

  private static void writeAddedToken(JsonGenerator out, Piece piece) throws IOException {
    out.writeStringField("content", piece.text());
    out.writeBooleanField("single_word", false);
    out.writeBooleanField("lstrip", false);
    out.writeBooleanField("rstrip", false);
    out.writeBooleanField("normalized", false);
    out.writeBooleanField("special", piece.type() != Type.USER_DEFINED);
  }

  private static void writeRole(JsonGenerator out, String role, String token) throws IOException {
    if (token.isEmpty()) {
      out.writeNullField(role);
    } else {
      out.writeStringField(role, token);
    }
  }

  private void writeNormalizer(JsonGenerator out) throws IOException {
    out.writeObjectFieldStart("normalizer");
    out.writeStringField("type", "Sequence");
    out.writeArrayFieldStart("normalizers");
    if (model.addDummyPrefix()) {
      out.writeStartObject();
      out.writeStringField("type", "Prepend");
      out.writeStringField("prepend", SPACE);
      out.writeEndObject();
    }
    writeReplace(out, " ", SPACE);
    out.writeEndArray();
    out.writeEndObject();
  }

  private static void writeReplace(JsonGenerator out, String pattern, String content)
      throws IOException {
    out.writeStartObject();
    out.writeStringField("type", "Replace");
    out.writeObjectFieldStart("pattern");
    out.writeStringField("String", pattern);
    out.writeEndObject();
    out.writeStringField("content", content);
    out.writeEndObject();
  }

  private void writePostProcessor(JsonGenerator out, String before, String after)
      throws IOException {
    out.writeObjectFieldStart("post_processor");
    out.writeStringField("type", "TemplateProcessing");
    out.writeArrayFieldStart("single");
    writeTemplatePart(out, before, "A", after, 0);
    out.writeEndArray();
    out.writeArrayFieldStart("pair");
    writeTemplatePart(out, before, "A", after, 0);
    writeTemplatePart(out, before, "B", after, 1);
    out.writeEndArray();
    out.writeObjectFieldStart("special_tokens");
    for (String token : before.equals(after) ? List.of(before) : List.of(before, after)) {
      if (!token.isEmpty()) {
        out.writeObjectFieldStart(token);
        out.writeStringField("id", token);
        out.writeFieldName("ids");
        out.writeArray(new int[] {id(token)}, 0, 1);
        out.writeArrayFieldStart("tokens");
        out.writeString(token);
        out.writeEndArray();
        out.writeEndObject();
      }
    }
    out.writeEndObject();
    out.writeEndObject();
  }

  private static void writeTemplatePart(
      JsonGenerator out, String before, String sequence, String after, int typeId)
      throws IOException {
    writeTemplateEntry(out, "SpecialToken", before, typeId);
    writeTemplateEntry(out, "Sequence", sequence, typeId);
    writeTemplateEntry(out, "SpecialToken", after, typeId);
  }

  private static void writeTemplateEntry(JsonGenerator out, String kind, String id, int typeId)
      throws IOException {
    if (!id.isEmpty()) {
      out.writeStartObject();
      out.writeObjectFieldStart(kind);
      out.writeStringField("id", id);
      out.writeNumberField("type_id", typeId);
      out.writeEndObject();
      out.writeEndObject();
    }
  }

  private int id(String token) {
    for (int id = 0; id < model.pieces().size(); id++) {
      if (model.pieces().get(id).text().equals(token)) {
        return id;
      }
    }
    throw new IllegalArgumentException("no piece " + token);
  }

  private void writeDecoder(JsonGenerator out) throws IOException {
    out.writeObjectFieldStart("decoder");
    out.writeStringField("type", "Sequence");
    out.writeArrayFieldStart("decoders");
    writeReplace(out, SPACE, " ");
    List<String> steps = new ArrayList<>();
    if (model.byteFallback()) {
      steps.add("ByteFallback");
    }
    steps.add("Fuse");
    for (String step : steps) {
      out.writeStartObject();
      out.writeStringField("type", step);
      out.writeEndObject();
    }
    if (model.addDummyPrefix()) {
      out.writeStartObject();
      out.writeStringField("type", "Strip");
      out.writeStringField("content", " ");
      out.writeNumberField("start", 1);
      out.writeNumberField("stop", 0);
      out.writeEndObject();
    }
    out.writeEndArray();
    out.writeEndObject();
  }

  private void writeModel(JsonGenerator out, List<Merges.Merge> merges) throws IOException {
    out.writeObjectFieldStart("model");
    out.writeStringField("type", "BPE");
    out.writeNullField("dropout");
    writeRole(out, "unk_token", model.unknown());
    out.writeNullField("continuing_subword_prefix");
    out.writeNullField("end_of_word_suffix");
    out.writeBooleanField("fuse_unk", true);
    out.writeBooleanField("byte_fallback", model.byteFallback());
    out.writeBooleanField("ignore_merges", false);
    out.writeObjectFieldStart("vocab");
    for (int id = 0; id < model.pieces().size(); id++) {
      out.writeNumberField(model.pieces().get(id).text(), id);
    }
    out.writeEndObject();
    out.writeArrayFieldStart("merges");
    for (Merges.Merge merge : merges) {
      out.writeString(merge.left() + " " + merge.right());
    }
    out.writeEndArray();
    out.writeEndObject();
  }
}
