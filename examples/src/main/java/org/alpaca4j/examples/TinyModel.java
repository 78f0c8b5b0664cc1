package org.alpaca4j.examples;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/**
 * The project's own base model: a Llama of 430 thousand weights that knows {@link TinyWorld} from
 * its stories and has never seen an instruction. {@link MakeTinyModel} made it.
 */
final class TinyModel {
  private static final List<String> FILES =
      List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json");

  private TinyModel() {}

  /**
   * Writes the model as a Hugging Face folder.
   *
   * @param folder made if it is missing
   * @return the folder
   * @throws IOException if a file cannot be written
   */
  static Path unpack(Path folder) throws IOException {
    Files.createDirectories(folder);
    for (String file : FILES) {
      try (InputStream resource = TinyModel.class.getResourceAsStream("tinymodel/" + file)) {
        if (resource == null) {
          throw new FileNotFoundException(
              "the resource tinymodel/" + file + " is missing; run MakeTinyModel");
        }
        Files.copy(resource, folder.resolve(file), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    return folder;
  }
}
