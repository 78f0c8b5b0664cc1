package org.alpaca4j.data.selfinstruct;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.Writer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.internal.JsonProblem;
import org.alpaca4j.data.DataException;

/** The result: a JSON list of records, replaced as a whole each time it is written. */
final class RegenFile {
  static final String NAME = "regen.json";
  private static final String INSTRUCTION = "instruction";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;
  private final List<String> instructions = new ArrayList<>();
  private final List<String> texts = new ArrayList<>(); // rendered once: the list may become long

  private RegenFile(Path file) {
    this.file = file;
  }

  /** Returns the number of records in a folder's file; 0 if there is none. */
  static int count(Path folder) {
    Path file = folder.resolve(NAME);
    return Files.exists(file) ? read(file).size() : 0;
  }

  /**
   * Opens a folder's file with the first records that are in it.
   *
   * @param start how many of them; later ones will be added anew
   */
  static RegenFile open(Path folder, int start) {
    RegenFile regen = new RegenFile(folder.resolve(NAME));
    if (start > 0) {
      JsonNode records = Files.exists(regen.file) ? read(regen.file) : JSON.createArrayNode();
      if (records.size() < start) {
        throw new DataException(
            regen.file
                + ": has "
                + records.size()
                + " records, but this folder's run began with "
                + start
                + " that it found there; put that file back, or choose another output folder");
      }
      for (int i = 0; i < start; i++) {
        regen.add(records.get(i));
      }
    }
    return regen;
  }

  private static JsonNode read(Path file) {
    JsonNode records;
    try {
      records = JSON.readTree(file.toFile());
    } catch (JsonProcessingException e) {
      throw new DataException(
          file + ": not readable as JSON: " + JsonProblem.describeWithPlace(e), e);
    } catch (IOException e) {
      throw new DataException(file + ": cannot be read: " + e, e);
    }
    if (!records.isArray()) {
      throw new DataException(file + ": expected a JSON array of records");
    }
    for (int i = 0; i < records.size(); i++) {
      if (!records.get(i).path(INSTRUCTION).isTextual()) {
        throw new DataException(
            file + ", record " + i + ", field \"" + INSTRUCTION + "\": expected a string");
      }
    }
    return records;
  }

  /** Returns the instructions of the records, in order. */
  List<String> instructions() {
    return instructions;
  }

  int size() {
    return instructions.size();
  }

  void add(GeneratedInstruction instruction) {
    ObjectNode record = JSON.createObjectNode();
    record.put(INSTRUCTION, instruction.record().instruction());
    record.put("input", instruction.record().input());
    record.put("output", instruction.record().output());
    ObjectNode similar = record.putObject("most_similar_instructions");
    instruction.mostSimilar().forEach(similar::put);
    record.put("avg_similarity_score", instruction.averageSimilarity());
    add(record);
  }

  private void add(JsonNode record) {
    instructions.add(record.get(INSTRUCTION).textValue());
    texts.add(PythonJson.write(record, 1));
  }

  /** Replaces the file: whoever reads it sees the old or the new one, whatever happens. */
  void write() {
    Path staged = file.resolveSibling("." + NAME + ".tmp");
    try {
      try (FileChannel channel =
          FileChannel.open(
              staged,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        // Not closed: that would close the channel before it is forced.
        Writer out = new BufferedWriter(Channels.newWriter(channel, StandardCharsets.UTF_8));
        String separator = "[";
        for (String text : texts) {
          out.append(separator).append("\n    ").append(text);
          separator = ",";
        }
        out.append(texts.isEmpty() ? "[]" : "\n]").flush();
        channel.force(true);
      }
      Files.move(staged, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new DataException(
          file + ": cannot be written: " + e + "; what was answered is saved beside it", e);
    }
  }
}
